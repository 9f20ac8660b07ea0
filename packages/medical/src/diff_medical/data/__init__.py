"""Folders of scans as training items."""
