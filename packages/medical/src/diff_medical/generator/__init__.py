"""Synthetic scans: a diffusion model of slices, and one of small volumes.

from diff_medical import Generator, Request
made = Generator.from_pretrained()([Request("t1", "head", "axial")])
made[0].values, made[0].affine
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
