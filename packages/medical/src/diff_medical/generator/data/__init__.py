"""The training items of the generator: tones of slices and volumes, cut from scans."""
