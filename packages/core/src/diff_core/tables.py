"""Tables of trained networks by their short name; see `diff_core.schedule.tables`."""

from __future__ import annotations

from diff_core.schedule.tables import (
    from_betas,
    from_noise_levels,
    linear,
    scaled_linear,
    zero_terminal_snr,
)

__all__ = ["from_betas", "from_noise_levels", "linear", "scaled_linear", "zero_terminal_snr"]
