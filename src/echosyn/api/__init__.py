"""The Python front door, offered as ``echosyn.NAME``: datasets, pipelines, and runs with results that show themselves."""
