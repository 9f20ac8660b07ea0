"""The definitions of spectra, which a network and its user must agree on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["difference"]


def difference(expected: DataclassInstance, found: DataclassInstance) -> str:
    """Return the numbers in which two definitions of one kind differ: "hop 128 | 256"."""
    here, there = asdict(expected), asdict(found)
    return ", ".join(
        f"{name} {here[name]:g} | {there[name]:g}" for name in here if here[name] != there[name]
    )
