"""The split of recordings for training and scoring: by speaker, or by text where there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from diff_audio.data.layouts import Row
from diff_core.data.split import Split, assign, refuse_shared

__all__ = ["split_rows"]

Unit = Callable[[Row], str]

log = logging.getLogger(__name__)


def split_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows with a split each, noisy speech after all others.

    A split that a row has is kept, and where some of a speaker have one, the others train. Where
    then no speech is held out, one in twenty of the speakers without a split is, at least one; of
    a lone speaker, one in twenty texts, or files where the texts are not known. Likewise noise. A
    single recording serves both, with a warning. Responses of rooms are shared, but those of the
    test. Nothing of the test split is in another.

    Raises ValueError, with its name, for a speaker in two splits. A set of one speaker whose texts
    are all known is split by text, and so checked.
    """
    speech = [row for row in rows if row.kind in ("speech", "noisy")]
    made = _split_kind(speech, _units(speech), "speech")
    noise = [row for row in rows if row.kind == "noise"]
    made += _split_kind(noise, lambda row: row.speaker, "noise")
    made += [replace(row, split=row.split or "train") for row in rows if row.kind == "room"]
    return sorted(made, key=lambda row: row.kind == "noisy")


def _units(speech: Sequence[Row]) -> Unit:
    """Return what must not be in two splits: the speaker; in a set of one speaker, the text."""
    speakers: dict[str, set[str]] = {}
    texts: dict[str, bool] = {}
    for row in speech:
        speakers.setdefault(row.group, set()).add(row.speaker)
        texts[row.group] = texts.get(row.group, True) and bool(row.text)

    def unit(row: Row) -> str:
        alone = len(speakers[row.group]) == 1 and texts[row.group]
        return f"{row.speaker}, saying '{row.text}'," if alone else row.speaker

    return unit


def _split_kind(rows: Sequence[Row], unit: Unit, kind: str) -> list[Row]:
    settled = {unit(row) for row in rows if row.split is not None}
    given: dict[str, set[Split]] = {}
    for row in rows:
        if unit(row) in settled:
            given.setdefault(unit(row), set()).add(row.split or "train")
    refuse_shared(given, "speaker" if kind == "speech" else "noise")
    known = {name: next(iter(splits)) for name, splits in given.items()}
    free = [row for row in rows if unit(row) not in known]
    if not free:
        return [replace(row, split=known[unit(row)]) for row in rows]
    if "val" not in known.values():
        by = unit
        if len({unit(row) for row in free}) == 1 and len({row.path for row in free}) > 1:
            log.warning("only one speaker: validation hears the same voice in other recordings")
            by = _recording
        chosen = assign(by(row) for row in free)
        known |= {row_unit: chosen[row_unit] for row_unit in chosen}
        made = [replace(r, split=known.get(unit(r)) or known[by(r)]) for r in rows]
        if not any(row.split == "val" for row in made):
            log.warning("only one source of %s: validation hears what training does", kind)
            made += [replace(row, split="val") for row in made if row.split == "train"]
        return made
    return [replace(row, split=known.get(unit(row), "train")) for row in rows]


def _recording(row: Row) -> str:
    """A recording with its noisy versions: the file of the clean one."""
    return str(row.pair or row.path)
