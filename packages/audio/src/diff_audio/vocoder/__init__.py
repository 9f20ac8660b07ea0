"""The vocoder, from mel spectrogram to wave: flow matching in the complex short-time Fourier
domain.

from diff_audio.vocoder import Vocoder
wave = Vocoder.from_pretrained()(log_mel)          # (80, N) or (B, 80, N) -> (B, (N - 1) * 256)
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
