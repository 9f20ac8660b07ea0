"""The reports and pictures for people."""
