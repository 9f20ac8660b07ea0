"""The short-time spectra, the mel spectrogram, and the parts that networks over frames share."""
