"""The training of the vocoder: its recipe, its data and its loss."""
