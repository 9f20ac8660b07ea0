"""The judge of likeness: how far are generated scans from real ones? (`python -m
diff_medical.fidelity`)

`distance` and `manifold` hold the measures of sets of features, `summary` those of intensities and
spectra; `sets` deals the scans into halves, `rivals` makes trivial generators to compare with,
`table` prints.
"""
