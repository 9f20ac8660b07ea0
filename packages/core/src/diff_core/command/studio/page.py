"""The words and limits of a studio's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Page"]


@dataclass(frozen=True)
class Page:
    """The page that a studio shows for its domain.

    title, about: head of the page
    drop:         what to drop, "a recording"
    suffixes:     names that are taken, lower case, with the dot
    qualities:    what each means, by name; the first that is called "default" is chosen
    amount:       what the slider is called
    action:       what the button says
    dark:         dark whatever the system prefers, for scans
    """

    title: str
    about: str
    drop: str
    suffixes: tuple[str, ...]
    qualities: Mapping[str, str]
    amount: str
    action: str
    dark: bool = False
