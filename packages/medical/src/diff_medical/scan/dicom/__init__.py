"""DICOM series as volumes, read and written."""
