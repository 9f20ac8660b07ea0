"""The training of the enhancer."""
