"""Pages with players and spectrograms, for results without a report of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diff_audio.pages.embed import pictures, players, spectrograms
from diff_audio.sound.read import probe, read_start
from diff_core.command.studio import write_result

__all__ = ["LONGEST", "compare", "play"]

LONGEST = 600
"""The seconds of a file that a page plays."""


def compare(page: Path, before: Path, after: Path, notice: str, notes: Sequence[str] = ()) -> None:
    """Write a page that plays a recording and what was made of it."""
    play(page, after.name, notice, {"Before": before, "After": after}, notes=notes)


def play(
    page: Path,
    title: str,
    notice: str,
    files: Mapping[str, Path],
    *,
    facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write a page with a player and a spectrogram of each file, by its name on the page."""
    sounds: dict[str, str] = {}
    drawn: dict[str, str] = {}
    said = list(notes)
    for name, path in files.items():
        found = probe(path)
        wave = read_start(path, LONGEST * found.rate)
        if found.frames > wave.shape[1]:
            said.append(f"the page plays the first {LONGEST // 60} minutes of {path.name}")
        sounds[name] = players({"sound": wave}, found.rate)["sounds"]["sound"]
        drawn[f"Spectrogram, {name.lower()}"] = pictures(
            spectrograms({"before": wave}, found.rate)
        )["before"]
    write_result(page, title, notice, sounds=sounds, pictures=drawn, facts=facts, notes=said)
