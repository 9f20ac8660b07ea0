"""Diffusion mathematics for signals of any dimension.

The nouns are here; sampling is `from diff_core.sample import sample, Ddim`, and networks, training
and checkpoints are in `diff_core.nn`, `diff_core.train` and `diff_core.io`.
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
