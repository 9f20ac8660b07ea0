"""Short-time spectra, mel spectrograms, and what networks over frames share."""
