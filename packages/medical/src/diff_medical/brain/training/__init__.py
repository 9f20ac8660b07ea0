"""The training of the four stages of the brain generator."""
