"""How far generated scans are from real ones: `python -m diff_medical.fidelity`.

`distance` and `manifold` hold the measures of sets of features, `summary` those of intensities and
spectra; `sets` deals the scans into halves, `rivals` makes trivial generators to compare with,
`table` prints.
"""
