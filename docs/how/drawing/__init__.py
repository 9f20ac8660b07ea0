"""What docs/how/figures.py draws, one module a subject."""
