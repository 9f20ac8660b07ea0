"""The judge of copies: do generated scans repeat scans of training? (`python -m
diff_medical.audit`)

`match` compares images under shifts and flips, `screen` does so for many at a time, `statistics`
judges what is found, `compare` puts them together; `images`, `read` and `features` bring the scans
in, `report` brings the verdict out.
"""
