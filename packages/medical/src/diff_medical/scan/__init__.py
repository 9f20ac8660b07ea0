"""A scan on disk: NIfTI, MGH, DICOM and BIDS."""
