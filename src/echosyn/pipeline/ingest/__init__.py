"""From recordings, DICOM or the phantom to a dataset folder."""
