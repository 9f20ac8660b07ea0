"""Scans of people on the grid of the brain generator, with label maps: its training data."""
