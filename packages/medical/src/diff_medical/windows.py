"""The windows through which CT is read, and in which errors of CT are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WINDOWS", "Window"]


@dataclass(frozen=True)
class Window:
    """Hounsfield units from `centre` - `width` / 2, black, to `centre` + `width` / 2, white."""

    centre: float
    width: float

    def __call__(self, hounsfield: NDArray[np.floating]) -> NDArray[np.float32]:
        """[0, 1] as it is seen; same shape."""
        low = self.centre - self.width / 2
        return ((hounsfield - low) / self.width).clip(0, 1).astype(np.float32)


WINDOWS = {
    "chest": Window(-600, 1500),
    "abdomen": Window(50, 400),
    "head": Window(40, 80),
}
"""Those of LDCT-Bench (E. Eulig, B. Ommer and M. Kachelriess, "Benchmarking deep learning-based
low-dose CT image denoising algorithms", Med Phys 2024)."""
