"""The requirements of a distribution and of its extras, and which of them are not installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

__all__ = ["Need", "extras", "missing", "needs"]

_LINE = re.compile(r"(?P<name>[\w.-]+)\s*(?:\[(?P<with>[\w,\s-]+)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)")


@dataclass(frozen=True)
class Need:
    """A requirement: the name of a distribution, and those of its extras that are wanted."""

    name: str
    extras: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Return the version that is installed, or ""."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return ""


def needs(distribution: str, extra: str = "") -> Iterator[Need]:
    """The requirements of a distribution, or only those of one of its extras."""
    for line in _requires(distribution):
        found, of = _LINE.match(line), _EXTRA.search(line)
        if found and (of[1] if of else "") == extra:
            names = found["with"] or ""
            yield Need(found["name"], tuple(n.strip() for n in names.split(",") if n.strip()))


def extras(distribution: str) -> list[str]:
    """Return the names of the extras of a distribution, in the order of its metadata."""
    found = (_EXTRA.search(line) for line in _requires(distribution))
    return list(dict.fromkeys(of[1] for of in found if of))


def missing(distribution: str, extra: str = "") -> list[str]:
    """Return what is not installed of the requirements of a distribution or of one of its extras.

    The extras of the requirements are looked up too: that of `diff-audio[train]` holds what
    `diff-core[train]` needs. A distribution that is not installed has no requirements here.
    """
    found: list[str] = []
    for need in needs(distribution, extra):
        if not need.version:
            found.append(need.name)
        for inner in need.extras:
            found += missing(need.name, inner)
    return list(dict.fromkeys(found))


def _requires(distribution: str) -> list[str]:
    try:
        return metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
