"""The marks of synthetic scans: read, put in, and inherited by what is made of them."""
