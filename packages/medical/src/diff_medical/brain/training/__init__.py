"""The training of the five stages of the brain generator."""
