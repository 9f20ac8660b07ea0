"""The restorer of speech: a Schroedinger bridge from the damaged to the clean mel spectrogram, and
the vocoder.

from diff_audio.restorer import Restorer
wave, rate = Restorer.from_pretrained("restore.safetensors")(wave, rate)     # (T,) or (C, T)
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
