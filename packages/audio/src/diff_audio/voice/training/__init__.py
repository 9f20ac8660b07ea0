"""The training of the voice: its recipe, its data and its loss."""
