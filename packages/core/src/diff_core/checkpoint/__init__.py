"""Checkpoints: a model's weights in safetensors with a typed card. No pickle.

`save` and `load` are the door; `description` describes objects in JSON and builds them again, and
`tensors` reads and writes the files. `diff_core.io` is the short name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
