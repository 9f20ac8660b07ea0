"""The voice, from text to speech: flow matching of mels with a duration model, and its speaker.

from diff_audio.voice import Speaker
wave, rate = Speaker.from_pretrained()("Hello.")       # (T,) float32, 22050
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
