"""The left ventricle followed through a video: areas, EF, tracings."""
