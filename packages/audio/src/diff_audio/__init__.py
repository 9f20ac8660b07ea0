"""A diffusion suite for sound, offline on a laptop: denoise recordings, speak text, train both.

from diff_audio import Denoiser, Speaker, Vocoder
clean = Denoiser.from_pretrained()(wave, rate)          # wave (T,) or (C, T)
wave, rate = Speaker.from_pretrained()("Good morning.")
wave = Vocoder.from_pretrained()(log_mel)               # (80, N), of diff_audio.Mel
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
