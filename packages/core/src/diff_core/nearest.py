"""The known name that is nearest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest"]


def nearest(given: object, known: Iterable[str]) -> str | None:
    """Return the name out of `known` that resembles `given` most, None if none does.

    Case counts less than letters: "Val" is nearest to "val".
    """
    names = {name.casefold(): name for name in known}
    found = get_close_matches(str(given).casefold(), names, 1, 0.5)
    return names[found[0]] if found else None
