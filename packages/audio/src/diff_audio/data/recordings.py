"""Recordings of a folder, and the facts that are known of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from diff_audio.sound.names import SOUND, UNREAD, is_made_here
from diff_core.data import Split

__all__ = ["TRAINING", "Kind", "Row", "recordings", "sounds"]

TRAINING = replace(
    SOUND, unread=dict.fromkeys(UNREAD, "not read as training data; convert them to WAV or FLAC")
)
"""The files that are taken for training data: those that can be read at any place."""

Kind = Literal["speech", "noise", "noisy", "room"]
"""The part that a recording plays in training."""


@dataclass(frozen=True)
class Row:
    """A recording, and the facts that its place in a corpus gives.

    kind:    clean speech, noise, noisy speech, or the impulse response of a room
    group:   the corpus, or a part of it
    speaker: unique within all corpora; of a noise and a response, its own name
    split:   None where the layout does not say
    text:    the words spoken, "" where they are not known
    pair:    of noisy speech, its clean recording
    """

    path: Path
    kind: Kind
    group: str
    speaker: str
    split: Split | None = None
    text: str = ""
    pair: Path | None = None
    licence: str = "unknown"


def sounds(folder: Path) -> list[Path]:
    """The sound files below a folder, in order, without hidden ones."""
    return sorted(
        path
        for path in folder.rglob("*")
        if TRAINING.matches(path)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def recordings(folder: Path) -> list[Path]:
    """Return `sounds` without what this package made of others beside it (`is_made_here`)."""
    return [path for path in sounds(folder) if not is_made_here(path)]
