"""The training of the denoiser: its recipe, its loss and its scores."""
