"""The denoiser: a trained network between the spectra of a recording, for any rate and length.

from diff_audio import Denoiser, Settings
clean = Denoiser.from_pretrained()(wave, rate, Settings(limit_db=20.0))
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
