"""The training of the voice: its recipe, its corpus, its loss and its scores."""
