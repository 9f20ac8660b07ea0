"""The training of the denoiser: its recipe, its data and its loss."""
