"""Sets of images of one size, with what each of them shows: what both judges read."""
