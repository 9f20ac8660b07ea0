"""The inputs of a network, checked on every call."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition

__all__ = ["Inputs"]

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8)


@dataclass(frozen=True)
class Inputs:
    """The shapes that a network takes; 0 for a condition that it does not take.

    spatial:       axes of x; in_channels: channels of x
    vector_dim:    size of Condition.vector
    cond_channels: channels of Condition.channels
    token_dim:     size of each of Condition.tokens
    """

    spatial: int
    in_channels: int
    vector_dim: int = 0
    cond_channels: int = 0
    token_dim: int = 0

    def check(self, x: Tensor, time: Tensor, cond: Condition, weight: Tensor) -> None:
        """Raise ValueError naming the argument, what was given and what was expected.

        weight: a parameter of the network, which says its device and precision

        The values of `cond.lengths` and `cond.token_lengths` are read as well, except while
        compiling; on a GPU reading them waits for the device, so they are better left on the CPU,
        where they cost nothing.
        """
        if x.ndim != self.spatial + 2 or x.shape[1] != self.in_channels:
            axes = ", ".join("*" * self.spatial)
            raise ValueError(f"x is {_shape(x)}; expected (B, {self.in_channels}, {axes})")
        if x.device != weight.device:
            raise ValueError(f"x is on {x.device}; expected the network's {weight.device}")
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"x is {x.dtype}; expected the network's {weight.dtype}")
        batch, size = x.shape[0], tuple(x.shape[2:])
        # "in (1, batch)" is wrong where the compiler has a symbol for the batch
        if time.ndim > 1 or (time.ndim == 1 and time.shape[0] != 1 and time.shape[0] != batch):
            raise ValueError(f"time is {_shape(time)}; expected () or ({batch},)")
        _expect_real("time", time, x)
        _expect("vector", cond.vector, (batch, self.vector_dim), self.vector_dim, x)
        _expect(
            "channels",
            cond.channels,
            (batch, self.cond_channels, *size),
            self.cond_channels,
            x,
        )
        _expect("tokens", cond.tokens, (batch, None, self.token_dim), self.token_dim, x)
        if cond.lengths is not None:
            _check_lengths("lengths", cond.lengths, x, x.shape[-1], "the size of the last axis")
        if cond.token_lengths is not None:
            if cond.tokens is None:
                raise ValueError("cond.token_lengths is given, cond.tokens is None; expected both")
            number = cond.tokens.shape[1]
            _check_lengths("token_lengths", cond.token_lengths, x, number, "the number of tokens")


def _expect(
    name: str,
    given: Tensor | None,
    shape: tuple[int | None, ...],
    wanted: int,
    x: Tensor,
) -> None:
    if given is None:
        if wanted:
            raise ValueError(f"cond.{name} is None; expected {_words(shape)}")
        return
    if not wanted:
        raise ValueError(f"cond.{name} is {_shape(given)}; this network takes none")
    if given.ndim != len(shape) or any(
        n == 0 if expected is None else n != expected
        for n, expected in zip(given.shape, shape, strict=True)
    ):
        raise ValueError(f"cond.{name} is {_shape(given)}; expected {_words(shape)}")
    _expect_real(f"cond.{name}", given, x)


def _expect_real(name: str, given: Tensor, x: Tensor) -> None:
    if given.is_complex():
        raise ValueError(f"{name} is {given.dtype}; expected real numbers")
    if given.device != x.device:
        raise ValueError(f"{name} is on {given.device}; expected {x.device}, where x is")


def _check_lengths(name: str, lengths: Tensor, x: Tensor, most: int, why: str) -> None:
    if lengths.shape != x.shape[:1]:
        raise ValueError(f"cond.{name} is {_shape(lengths)}; expected ({x.shape[0]},)")
    if lengths.dtype not in _INTEGERS:
        raise ValueError(f"cond.{name} is {lengths.dtype}; expected integers")
    if lengths.device not in (x.device, torch.device("cpu")):
        raise ValueError(f"cond.{name} is on {lengths.device}; expected cpu or {x.device}")
    if torch.compiler.is_compiling():
        return
    low, high = (int(end) for end in torch.aminmax(lengths))
    if low < 1 or high > most:
        raise ValueError(f"cond.{name} goes from {low} to {high}; expected 1 to {most}, {why}")


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("*" if n is None else str(n) for n in shape) + ")"
