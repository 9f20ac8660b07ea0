"""The enhancer: a noisy volume in, the posterior mean out.

`engine` computes a volume a few planes at a time by the `steps`, within `bounds`; `checks` and
`uncertainty` measure the result; `training` holds the job that trains the network.
"""

import lazy_loader

# Names are looked up when first used: the commands answer --help without waiting for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
