"""A scan on disk: NIfTI, MGH, NRRD, MetaImage, DICOM and BIDS."""
