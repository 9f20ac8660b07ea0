"""The drawings of docs/how/figures.py, one module for each subject."""
