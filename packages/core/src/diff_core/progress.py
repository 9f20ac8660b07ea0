"""The progress of a computation: a callback that takes the share done."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "parts", "passes"]

Progress = Callable[[float], None]
"""A callback that takes the share of the work done, 0 to 1, never less than before."""


def parts(progress: Progress | None, count: int) -> list[Progress]:
    """Return the progress callbacks of `count` equal parts of one computation, in their order.

    The callback of part i maps [0, 1] onto [i / count, (i + 1) / count]. Where `progress` is None,
    they do nothing. Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}; expected 0 or more")
    return [_part(progress, index, count) for index in range(count)]


def _part(progress: Progress | None, index: int, count: int) -> Progress:
    def report(share: float) -> None:
        if progress is not None:
            progress((index + share) / count)

    return report


def passes(progress: Progress | None, count: int) -> Progress:
    """Return one callback for `count` equal passes after one another, each of which ends with 1.

    Where the passes cannot be given callbacks of their own (`parts`): the callback counts the
    calls with 1.
    """
    done = 0

    def report(share: float) -> None:
        nonlocal done
        if progress is not None:
            progress(min(1.0, (done + share) / count))
        done += share >= 1

    return report
