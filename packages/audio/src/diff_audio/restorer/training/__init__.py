"""The training of the restorer: its recipe, its loss and its scores."""
