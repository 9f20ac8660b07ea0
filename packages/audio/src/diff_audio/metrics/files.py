"""The scores of files: pairs of them, their scores, and means of groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diff_audio.sound.names import TAG
from diff_audio.sound.read import SUFFIXES, BadFile
from diff_core.files import visible_files

__all__ = ["Pair", "grouped", "pairs", "score_files", "summary"]


@dataclass(frozen=True)
class Pair:
    """A clean recording and an enhanced one."""

    name: str
    reference: Path
    estimate: Path


def pairs(reference: Path, estimate: Path) -> tuple[list[Pair], list[tuple[Path, str]]]:
    """Return the pairs of two files or two folders, and the files without a partner with a reason.

    Files of two folders belong together if they have the same name; endings and `_denoised` do
    not count. Raises ValueError for a file and a folder.
    """
    if reference.is_dir() != estimate.is_dir():
        raise ValueError(
            f"reference and estimate must be two files or two folders, got {reference} and "
            f"{estimate}"
        )
    if not reference.is_dir():
        return [Pair(reference.name, reference, estimate)], []
    clean, enhanced = dict(_named(reference)), dict(_named(estimate))
    alone = [
        (enhanced[name], f"no file of this name in {reference}; nothing to compare with")
        for name in sorted(enhanced.keys() - clean.keys())
    ]
    alone += [
        (clean[name], f"no file of this name in {estimate}; enhance it first")
        for name in sorted(clean.keys() - enhanced.keys())
    ]
    both = sorted(clean.keys() & enhanced.keys())
    return [Pair(name, clean[name], enhanced[name]) for name in both], alone


def _named(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in visible_files(folder):
        if path.suffix.lower() in SUFFIXES:
            yield path.relative_to(folder).with_name(path.stem.removesuffix(TAG)).as_posix(), path


def score_files(pair: Pair, names: Sequence[str], *, align: bool = False) -> dict[str, float]:
    """Return the scores of one pair at 16 kHz; of several channels, the mean of each one's.

    `align` first undoes a delay of up to 150 ms and cuts both to the shorter.
    Raises BadFile for files that cannot be read or compared.
    """
    import numpy as np
    import torch

    from diff_audio.metrics.pair import RATE
    from diff_audio.metrics.scores import align as aligned
    from diff_audio.metrics.scores import score
    from diff_audio.sound.read import read
    from diff_audio.sound.resample import resample

    (clean, rate), (enhanced, other) = read(pair.reference), read(pair.estimate)
    if rate != other or clean.shape[0] != enhanced.shape[0]:
        raise BadFile(
            f"has {enhanced.shape[0]} channels at {other} Hz, its reference {clean.shape[0]} at "
            f"{rate} Hz; convert one of them"
        )
    if clean.shape != enhanced.shape:
        if not align:
            raise BadFile(
                f"has {enhanced.shape[1]} samples, its reference {clean.shape[1]}; "
                "add align=True to cut to the shorter"
            )
        shorter = min(clean.shape[1], enhanced.shape[1])
        clean, enhanced = clean[:, :shorter], enhanced[:, :shorter]
    rows: list[dict[str, float]] = []
    for waves in zip(clean, enhanced, strict=True):
        ref, est = (resample(torch.from_numpy(wave), rate, RATE).numpy() for wave in waves)
        if align:
            est, _ = aligned(ref, est)
        rows.append(score(ref, est, names))
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def summary(rows: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return for each metric the mean, the half-width of its 95 % Student-t interval, and the
    number of files for which it is defined.
    """
    from diff_audio.metrics.scores import mean_interval

    table: dict[str, dict[str, float]] = {}
    for name in names:
        mean, half, count = mean_interval([row[name] for row in rows])
        table[name] = {"mean": mean, "half_width": half, "count": count}
    return table


def grouped(names: Sequence[str], pattern: str | None) -> dict[str, str]:
    """The group of each file: what `pattern` matches in its name, in its first parentheses if it
    has any; without a pattern, its folder.

    Raises ValueError for a pattern that is no regular expression or does not match a name.
    """
    if pattern is None:
        return {name: name.rpartition("/")[0] or "." for name in names}
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"group is {pattern!r}, no regular expression: {error}") from error
    found: dict[str, str] = {}
    for name in names:
        match = expression.search(name)
        if match is None:
            raise ValueError(f"group is {pattern!r}; it does not match the name {name!r}")
        found[name] = match.group(1 if expression.groups else 0) or ""
    return found
