"""The precision in which a network computes while it is trained."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["forward_in", "narrow_dtype"]


def narrow_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """torch.bfloat16, or None for the precision that the weights are in.

    precision: float32, bfloat16 or auto. Emulated bfloat16 would be slower than float32: auto
    takes it where the processor has it.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else None
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # Older releases of torch cannot tell.
        tells = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        fast = device.type == "cpu" and bool(tells())
    return torch.bfloat16 if fast else None


@contextmanager
def forward_in(
    model: nn.Module, dtype: torch.dtype | None, device: torch.device, *, compiled: bool = False
) -> Generator[None]:
    """Within the block, model(...) runs under autocast and returns float32 for what is narrower.

    Only the forward of the model itself: a loss computed from what it returns is not touched.
    dtype: of the autocast; None for none
    compiled: by torch.compile
    """
    if dtype is None and not compiled:
        yield
        return
    forward = model.forward

    def narrow(*arguments: Any, **keywords: Any) -> Any:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            return _wide(forward(*arguments, **keywords))

    model.forward = torch.compile(narrow) if compiled else narrow
    try:
        yield
    finally:
        del model.forward  # the instance's; the class's is there again


def _wide(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
    if isinstance(output, dict):
        return {key: _wide(value) for key, value in cast("dict[Any, Any]", output).items()}
    if isinstance(output, list | tuple):
        made = [_wide(value) for value in cast("list[Any]", output)]
        kind: Any = type(output)
        return kind(*made) if hasattr(output, "_fields") else kind(made)
    return output
