"""Diffusion for scans: enhance MRI and CT volumes and train enhancers, offline on a laptop.

    from diff_medical import Enhancer
    enhanced = Enhancer.from_pretrained()(volume, (1.0, 1.0, 1.2))      # (X, Y, Z), voxel size mm
    enhanced.volume, enhanced.noise.sigma

The modules at the top are the commands. Below them, from files to mathematics, are the rooms
`jobs` and `pages`, the models `enhancer` and `generator`, `data`, `slices`, `metrics`, `noise`,
`marks` and `scan`.
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
