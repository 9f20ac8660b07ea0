"""The choice of the device to compute on."""

from __future__ import annotations

import torch

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is the first of cuda, mps and cpu that is there.

    Raises ValueError for a device that is not there, or not known.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, ready in there.items() if ready))
    if name not in there:
        raise ValueError(f"device is {name!r}; expected auto, cpu, cuda or mps")
    if not there[name]:
        raise ValueError(f'device {name} is not available here; use device="cpu" or leave it out')
    return torch.device(name)
