"""The scores of files: pairs of them, their scores, and means of groups."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diff_audio.sound.names import TAG, is_made_here, sound_files
from diff_audio.sound.read import BadFile
from diff_core.evaluate import Naming, match_files

if TYPE_CHECKING:
    from diff_audio.metrics.alignment import Delay
    from diff_audio.metrics.words import WordErrors, WordScore
    from diff_audio.sound.wave import Array
    from diff_core.evaluate import Summary

__all__ = ["Pair", "Pairs", "Scored", "grouped", "naming", "pairs", "score_files", "summary"]

WIDE = 1.0  # seconds within which a delay is looked for, to report it
HEARD = 60.0  # seconds of the middle of a recording in which it is
NARROW = (
    "has {} Hz, and the scores are those of speech at {} Hz: PESQ is wide-band, and lower than "
    "the narrow-band PESQ of other tables"
)
LATE = 10.0  # dB of SI-SDR that a delay must cost to be reported


@dataclass(frozen=True)
class Pair:
    """A clean recording and an enhanced one."""

    name: str
    reference: Path
    estimate: Path


@dataclass(frozen=True)
class Pairs:
    """The pairs of two files or folders.

    failed:   (name, file, reason) of what has no partner, or more than one
    left_out: references that are outputs of a file beside them
    """

    pairs: tuple[Pair, ...]
    failed: tuple[tuple[str, Path, str], ...] = ()
    left_out: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The scores of a pair.

    scores: by name; NaN where a score is undefined because of the reference
    lag:    the delay that was undone, milliseconds; None where none was looked for
    notes:  what a user should know
    words:  words said and wrong; None where they were not asked for, or none was said
    """

    scores: dict[str, float]
    lag: float | None = None
    notes: tuple[str, ...] = ()
    words: WordErrors | None = None


def naming() -> Naming:
    """Return the names of the recordings that can be scored here."""
    kind = sound_files()
    return Naming(
        lambda path: kind.matches(path) and path.is_file(),
        lambda path: path.stem,
        TAG,
        is_made_here,
    )


def pairs(reference: Path, estimate: Path, only: Collection[Path] | None = None) -> Pairs:
    """Return the pairs of two files or two folders, by the rule of `diff_core.evaluate.Naming`.

    only: the references of a folder to compare, as resolved paths
    Raises ValueError for a file and a folder.
    """
    if reference.is_dir() != estimate.is_dir():
        raise ValueError(
            f"reference and estimate must be two files or two folders, got {reference} and "
            f"{estimate}"
        )
    if not reference.is_dir():
        return Pairs((Pair(reference.name, reference, estimate),))
    found = match_files(reference, estimate, naming(), only=only)
    alone = found.failed + (found.extra if only is None else ())
    return Pairs(tuple(Pair(*pair) for pair in found.pairs), alone, found.left_out)


def score_files(
    pair: Pair, names: Sequence[str], *, align: bool = False, words: WordScore | None = None
) -> Scored:
    """Return the scores of one pair at 16 kHz; of several channels, the mean of each one's.

    A silent estimate, or channel of it, gets the worst value of each score. A channel in which
    the reference is silent is left out, with a note.

    align: undo a delay of up to 150 ms, the same in all channels, and score the overlap
    words: also compute the word error rate, called `wer`
    Raises BadFile for files that cannot be read or compared.
    """
    import numpy as np

    from diff_audio.metrics.alignment import delay_of, overlap
    from diff_audio.metrics.pair import RATE
    from diff_audio.metrics.scores import WER, bounded, score, worst_of_silence

    ref, est, heard = _read(pair, align=align)
    shorter = min(ref.shape[1], est.shape[1])
    longer = max(ref.shape[1], est.shape[1])
    padded = (np.pad(wave, ((0, 0), (0, longer - wave.shape[1]))) for wave in (ref, est))
    delay = delay_of(next(padded), next(padded)) if align else None
    notes = (*heard, *_notes_on_delay(ref[:, :shorter], est[:, :shorter], delay))
    lag = None if delay is None else 1000 * delay.lag / RATE
    ref, est = overlap(ref, est, 0 if delay is None else delay.lag)
    sounding = [number for number, wave in enumerate(ref) if wave.any()] or [0]
    silent = [str(number + 1) for number in range(len(ref)) if number not in sounding]
    if silent:
        which = f"channel{'s' * (len(silent) > 1)} {', '.join(silent)}"
        notes = (*notes, f"the reference is silent in {which}, which is not scored")
    if any(not est[number].any() for number in sounding) and ref[sounding[0]].any():
        notes = (*notes, "the estimate is silent, or one of its channels: scored as the worst")
    rows = [worst_of_silence(ref[n], est[n], score(ref[n], est[n], names)) for n in sounding]
    means = {n: float(np.mean([bounded(n, row[n]) for row in rows])) for n in names}
    if words is None:
        return Scored(means, lag, notes)
    errors = words(pair.name, ref, est)
    if errors is None:
        notes = (*notes, "has no text, so its words are not scored")
    elif errors.again:
        notes = (*notes, "the recogniser went round in circles, and heard it a second time")
    return Scored(
        {**means, WER: float("nan") if errors is None else errors.rate}, lag, notes, errors
    )


def _read(pair: Pair, *, align: bool) -> tuple[Array, Array, tuple[str, ...]]:
    """Return both (C, any) at 16 kHz, and notes on the files. Raises BadFile for what cannot be
    compared.
    """
    import torch

    from diff_audio.metrics.pair import RATE
    from diff_audio.sound.read import probe, read
    from diff_audio.sound.resample import resample

    (clean, rate), (enhanced, other) = read(pair.reference), read(pair.estimate)
    if rate != other or clean.shape[0] != enhanced.shape[0]:
        raise BadFile(
            f"has {enhanced.shape[0]} channels at {other} Hz, its reference {clean.shape[0]} at "
            f"{rate} Hz; convert one of them"
        )
    if clean.shape != enhanced.shape and not align:
        raise BadFile(
            f"has {enhanced.shape[1]} samples, its reference {clean.shape[1]}; "
            "add align=True to compare what both hold of the same time"
        )
    ref, est = (
        resample(torch.from_numpy(wave), rate, RATE).double().numpy() for wave in (clean, enhanced)
    )
    notes = [*probe(pair.estimate).notes]
    notes += [f"of its reference: {note}" for note in probe(pair.reference).notes]
    notes += [NARROW.format(rate, RATE)] if rate < RATE else []
    return ref, est, tuple(notes)


def _notes_on_delay(ref: Array, est: Array, undone: Delay | None) -> tuple[str, ...]:
    """Return a note on a delay that is not undone. ref, est: (C, T) of equal shape."""
    from diff_audio.metrics.alignment import REACH, delay_of
    from diff_audio.metrics.pair import RATE

    middle, span = ref.shape[1] // 2, round(HEARD * RATE / 2)
    some = slice(max(0, middle - span), middle + span)
    wide = delay_of(ref[:, some], est[:, some], round(WIDE * RATE))
    milliseconds = f"{1000 * wide.lag / RATE:g} ms"
    if undone is None:
        if wide.gain < LATE:
            return ()
        return (f"is delayed by {milliseconds}, which lowers its scores; align=True undoes that",)
    if abs(wide.lag) > REACH and wide.gain > undone.gain:
        reach = f"{1000 * REACH / RATE:g} ms"
        return (f"is delayed by {milliseconds}, more than the {reach} that are undone",)
    return ()


def summary(rows: Iterable[dict[str, float]], names: Sequence[str]) -> dict[str, Summary]:
    """Return the mean of each metric over files (`scores.mean_score`)."""
    from diff_audio.metrics.scores import mean_score

    table = list(rows)
    return {name: mean_score(name, [row[name] for row in table]) for name in names}


def grouped(names: Sequence[str], pattern: str | None, *, strict: bool = True) -> dict[str, str]:
    """The group of each file: what `pattern` matches in its name, in its first parentheses if it
    has any; without a pattern, its folder.

    strict: a name that the pattern does not match is an error; else it has the group ""
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
        if match is None and strict:
            raise ValueError(f"group is {pattern!r}; it does not match the name {name!r}")
        found[name] = (match.group(1 if expression.groups else 0) or "") if match else ""
    return found
