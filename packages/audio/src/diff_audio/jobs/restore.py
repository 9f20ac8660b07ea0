"""A sound file restored into another, marked as synthetic, with a record beside it."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.jobs.finite import finite_blocks
from diff_audio.restorer.outcome import Outcome
from diff_audio.restorer.restorer import Restorer
from diff_audio.restorer.settings import Settings
from diff_audio.sound.names import sound_alone
from diff_audio.sound.read import Recording, probe
from diff_audio.sound.wave import Array
from diff_audio.sound.write import BITS, EXACT, Writer, container_for
from diff_audio.weights import path_of
from diff_core.files import file_job, refuse_existing, replacing, sha256, write_json
from diff_core.progress import Progress

__all__ = ["NOTICE", "restore_file"]

NOTICE = "Partly synthetic speech, restored by diff_audio: it may hold what was never said"
"""The notice in the comment of a restored file and in its record."""

MEASURING = 0.05
"""The share of the first reading in the work, for the progress bar."""

_FEWEST_BITS = 16  # of integer samples: fewer would be a damage of their own
_PACKED = ("MP3", "OGG")  # formats whose codecs are made for music and speech at any rate


@file_job
def restore_file(
    model: Restorer,
    source: Path,
    target: Path,
    settings: Settings | None = None,
    *,
    weights: Path,
    vocoder: Path | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Outcome:
    """Write `target` with the speech of `source` made anew, and TARGET.json beside it.

    The rate is the recording's, but at least the vocoder's; channels, length in seconds and tags
    stay. TARGET.json has the hashes of the models (weights, vocoder: their files), the settings
    and, of several draws, their spread in each second. The target appears when it is complete and
    not before. on_progress takes the share done.

    Raises BadFile or ValueError for a file that cannot be used; FileExistsError for an output that
    exists, unless `overwrite`, or that is the source; OSError where the system refuses to write.
    """
    settings, report = settings or Settings(), on_progress or (lambda _share: None)
    began = time.perf_counter()
    sidecar = target.with_name(f"{target.name}.json")
    refuse_existing(target, sidecar, overwrite=overwrite, source=source)
    found = probe(source)
    record: dict[str, Any] = {
        "notice": NOTICE,
        "synthetic": True,
        "software": f"diff_audio {version('diff-audio')}",
        "model": model.card.name,
        "model_sha256": sha256(weights),
        "vocoder_sha256": sha256(vocoder or path_of("vocoder")),
        "input_sha256": sha256(source),
        **asdict(settings),
    }
    comment = f"{NOTICE}; model {record['model_sha256'][:12]}, seed {settings.seed}"
    rate = model.rate_for(found.rate)
    like = _written(found, rate, {"comment": comment, "software": record["software"]})
    shape = found.channels, found.frames
    gain = model.measure(finite_blocks(found), shape, found.rate)
    report(MEASURING)
    spreads: list[Array] = []
    with replacing(target) as temporary:
        with Writer(temporary, like, *container_for(like, target)) as writer:
            done, length = 0, model.length_for(found.frames, found.rate)
            for part in model.run(finite_blocks(found), shape, found.rate, gain, settings):
                writer.write(part.wave)
                if part.spread is not None:
                    spreads.append(part.spread)
                done += part.wave.shape[1]
                report(MEASURING + (1.0 - MEASURING) * min(1.0, done / length))
        spread = _by_second(spreads, model.mel.sample_rate / model.mel.hop)
        write_json(sidecar, record | ({"spread_db": spread} if spread else {}))
    return Outcome(
        input=str(source),
        output=str(target),
        rate=rate,
        channels=found.channels,
        frames=writer.frames,
        seconds=found.frames / found.rate,
        took=time.perf_counter() - began,
        clipped=writer.clipped,
        device=model.device.type,
        spread=tuple(spread),
        notes=(*found.notes, *sound_alone(source, target), *writer.notes),
        **asdict(settings),
    )


def _written(found: Recording, rate: int, tags: dict[str, str]) -> Recording:
    """Return the recording like which the result is written."""
    subtype, lossless = found.subtype, found.subtype in EXACT
    if (lossless and BITS.get(subtype, _FEWEST_BITS) < _FEWEST_BITS) or not (
        lossless or found.format in _PACKED
    ):
        subtype = "PCM_16"
    like = replace(found, rate=rate, subtype=subtype, tags=found.tags | tags)
    # cue points and the like count samples of the old rate
    return like if rate == found.rate else replace(like, frames=0)


def _by_second(spreads: list[Array], frames: float) -> list[float]:
    """Return the mean spread of each second, from pieces (C, n) of `frames` a second."""
    if not spreads:
        return []
    joined = np.concatenate(spreads, axis=1).mean(0)
    second = (np.arange(len(joined)) / frames).astype(int)
    sums, counts = np.bincount(second, joined), np.bincount(second)
    return [round(float(value), 2) for value in sums / np.maximum(counts, 1)]
