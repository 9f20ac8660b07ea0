"""The training of the vocoder: its recipe, its losses and its scores."""
