"""A listening test as a folder: a page, sounds under names that say nothing, and the key.

ITU-R BS.1534-3, "Method for the subjective assessment of intermediate quality level of audio
systems" (MUSHRA), 2015: listeners compare several versions of a recording with a known reference;
the reference itself and a low-passed copy of it, the anchor, are hidden among the versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diff_audio.sound.codec import flac
from diff_audio.sound.loudness import Loudness
from diff_audio.sound.read import BadFile, read
from diff_audio.sound.resample import resample
from diff_audio.sound.wave import Array
from diff_core.files import replacing
from diff_core.pages import blind

__all__ = ["ANCHOR", "QUESTION", "REFERENCE", "Item", "write_test"]

REFERENCE, ANCHOR = "reference", "anchor"
"""The names of the hidden reference and of the anchor in the key and in the scores."""
QUESTION = "How good is the quality of each version, compared with the reference?"
"""The question of a test that is given none."""

_FULL = 0.99  # the highest peak that is written
_LETTERS = 12  # versions that a listener can compare


@dataclass(frozen=True)
class Item:
    """A recording of the test: its name, the reference, and the versions by system."""

    name: str
    reference: Path
    versions: Mapping[str, Path]


def write_test(
    items: Sequence[Item],
    folder: Path,
    *,
    anchor: float | None = 3500.0,
    seconds: float | None = None,
    seed: int = 0,
    title: str = "Listening test",
    question: str = QUESTION,
) -> str:
    """Write the page and its sounds into `folder`/test and the key beside it; return the test's
    number, which answers repeat.

    All versions are brought to the rate, the channels and, by ITU-R BS.1770, the loudness of their
    reference, and are cut to the shortest.

    anchor:  the cut-off of the hidden low-pass, Hz; None for no anchor
    seconds: the longest excerpt, from the start
    seed:    of the names of the sounds

    Raises BadFile for a recording that cannot be read or compared, ValueError for systems that
    cannot be told apart.
    """
    if not items:
        raise ValueError("items holds no recording")
    for item in items:
        if reserved := {REFERENCE, ANCHOR} & set(item.versions):
            raise ValueError(f"{reserved.pop()} is no name for a system; choose another")
        if not 1 <= len(item.versions) <= _LETTERS - 2:
            raise ValueError(f"expected 1 to {_LETTERS - 2} systems, got {len(item.versions)}")
    sounds = folder / "test" / "sounds"
    sounds.mkdir(parents=True, exist_ok=True)
    trials: list[dict[str, Any]] = []
    names: dict[str, dict[str, str]] = {}
    for item in items:
        waves, rate = _versions(item, anchor, seconds)
        tokens = {name: blind.token(seed, item.name, name) for name in (*waves, "known")}
        for name, wave in (*waves.items(), ("known", waves[REFERENCE])):
            with replacing(sounds / f"{tokens[name]}.flac") as temporary:
                temporary.write_bytes(flac(wave, rate))
        trial = blind.token(seed, item.name, "")
        known = tokens.pop("known")
        trials.append({"trial": trial, "reference": known, "sounds": sorted(tokens.values())})
        names[trial] = {"name": item.name, **{token: name for name, token in tokens.items()}}
    return blind.write_test(
        folder, __package__ or "diff_audio.pages", "listen.html", trials, names, title=title,
        question=question,
    )  # fmt: skip


def _versions(
    item: Item, anchor: float | None, seconds: float | None
) -> tuple[dict[str, Array], int]:
    """Return the sounds (C, T) of an item by system, with the hidden ones, and their rate."""
    reference, rate = read(item.reference)
    waves = {REFERENCE: reference}
    for name, path in item.versions.items():
        wave, own = read(path)
        if len(wave) != len(reference):
            raise BadFile(
                f"{path} has {len(wave)} channels and its reference {len(reference)}; "
                "give files with the same channels"
            )
        waves[name] = resample(torch.from_numpy(wave), own, rate).numpy()
    length = min(wave.shape[1] for wave in waves.values())
    if length < 0.9 * reference.shape[1]:
        raise BadFile(f"{item.name}: a version is shorter than 0.9 of the reference")
    length = length if seconds is None else min(length, round(seconds * rate))
    waves = {name: wave[:, :length] for name, wave in waves.items()}
    if anchor is not None and 2 * anchor < rate:
        low = resample(torch.from_numpy(waves[REFERENCE]), rate, round(2 * anchor))
        wave = resample(low, round(2 * anchor), rate).numpy()[:, :length]
        waves[ANCHOR] = np.pad(wave, ((0, 0), (0, length - wave.shape[1])))
    waves = _levelled(waves, rate)
    peak = max(float(np.abs(wave).max(initial=0.0)) for wave in waves.values())
    return {name: wave * min(1.0, _FULL / max(peak, 1e-9)) for name, wave in waves.items()}, rate


def _levelled(waves: dict[str, Array], rate: int) -> dict[str, Array]:
    """Return all with the loudness of the reference; what has none stays as it is."""
    levels: dict[str, float | None] = {}
    for name, wave in waves.items():
        meter = Loudness(rate, len(wave))
        meter.add(wave)
        levels[name] = meter.of()
    target = levels[REFERENCE]
    gains = {
        name: 1.0 if level is None or target is None else 10 ** ((target - level) / 20)
        for name, level in levels.items()
    }
    return {name: gains[name] * wave for name, wave in waves.items()}
