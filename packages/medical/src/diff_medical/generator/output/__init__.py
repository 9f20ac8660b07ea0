"""Generated scans as NIfTI and DICOM files, each with its mark."""
