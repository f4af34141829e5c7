"""DICOM: ultrasound cines in, with nothing that tells whose they are; synthetic videos out, as objects that viewers open."""
