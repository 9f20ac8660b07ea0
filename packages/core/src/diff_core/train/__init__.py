"""Training: an objective, a data set, a loop.

The parts are in modules of their own: `recipe` (YAML), `job` (what a domain gives),
`loop`, `step`, `state`, `distributed` (many processes), `ema` and `posthoc` (averages).
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
