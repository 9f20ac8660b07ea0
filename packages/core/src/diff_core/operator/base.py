"""The linear operator, and the product of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Compose", "LinearOperator", "SpectralOperator", "check_mask", "check_signal"]


class LinearOperator(Protocol):
    """A linear map A of every row by itself, and its transpose: <A x, y> = <x, A^T y>."""

    def __call__(self, x: Tensor) -> Tensor:
        """A x for x (B, C, *S)."""
        ...

    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y, of the shape of x."""
        ...


@runtime_checkable
class SpectralOperator(LinearOperator, Protocol):
    """An operator whose singular value decomposition A = U diag(s) V^T is at hand.

    A *spectrum* has the shape of x: V is square, with s = 0 on what A does not see.
    """

    def singular_values(self, x: Tensor) -> Tensor:
        """s >= 0, of a shape that broadcasts to the spectrum of x."""
        ...

    def analyse(self, x: Tensor) -> Tensor:
        """The spectrum V^T x."""
        ...

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """The signal V spectrum."""
        ...

    def invert(self, y: Tensor) -> Tensor:
        """The spectrum of the measurement, diag(1/s) U^T y, with 0 where s = 0."""
        ...


@dataclass(frozen=True)
class Compose:
    """Several operators, one after the other: Compose((blur, mask)) masks the blurred signal.

    Raises ValueError for an empty tuple.
    """

    operators: tuple[LinearOperator, ...]

    def __post_init__(self) -> None:
        if not self.operators:
            raise ValueError("operators is empty; expected at least one")

    def __call__(self, x: Tensor) -> Tensor:
        for operator in self.operators:
            x = operator(x)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        for operator in reversed(self.operators):
            y = operator.adjoint(y)
        return y


def check_mask(name: str, mask: Tensor) -> Tensor:
    """`mask` as booleans; ValueError unless it holds nothing but 0 and 1."""
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(
            f"{name} holds values from {mask.min().item():g} to {mask.max().item():g}; expected "
            "only 0 and 1 (1 = observed)"
        )
    return mask.bool()


def check_signal(x: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x has the shape of the signals that were measured."""
    if tuple(x.shape) != shape:
        raise ValueError(
            f"x_t has shape {tuple(x.shape)}; expected that of the signal measured, {shape}"
        )
