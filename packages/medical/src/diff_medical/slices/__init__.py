"""The slice network, and whole volumes through it."""
