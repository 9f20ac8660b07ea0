"""A file made from a mel spectrogram or a recording, marked as synthetic."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diff_audio.jobs.finite import finite_blocks
from diff_audio.jobs.mel_file import MELS, read_mel
from diff_audio.sound.names import sound_alone
from diff_audio.sound.read import BadFile, Recording, probe
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import Window, cut
from diff_audio.sound.write import Writer, container_for
from diff_audio.spectra.mel_formats import FORMATS
from diff_audio.vocoder.copying import copy_synthesis
from diff_audio.vocoder.gap import AROUND, fill
from diff_audio.vocoder.model import Settings, Vocoder
from diff_audio.vocoder.outcome import Outcome
from diff_audio.weights import path_of
from diff_core.files import file_job, refuse_existing, replacing, sha256, write_json
from diff_core.progress import Progress

__all__ = ["NOTICE", "vocode_file"]

NOTICE = "Synthetic sound, made from a mel spectrogram by diff_audio"
"""The notice in the comment of a vocoded file and in its record."""
FILLED = "Partly synthetic sound, filled by diff_audio"
LOUD = 0.05  # share of samples beyond full scale: a mel of speech never asks for so many


@file_job
def vocode_file(
    model: Vocoder,
    source: Path,
    target: Path,
    settings: Settings | None = None,
    *,
    weights: Path | None = None,
    gap: tuple[float, float] | None = None,
    mel: str | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Outcome:
    """Write the wave of a mel spectrogram (`mel_file`) or of a recording's own, and TARGET.json.

    A recording's rate, channels, length and tags stay. `mel` is the format of a mel spectrogram
    (`mel_file.read_mel`). The target appears when it is complete
    and not before. weights: the file that the model came from, for its hash in TARGET.json. With
    `gap`, two times in seconds, only what lies between them is made anew (`gap.fill`).

    Raises BadFile or ValueError for a file that cannot be used, or a mel of which more than one
    sample in twenty lies beyond full scale; FileExistsError for an output that
    exists, unless `overwrite`, or that is the source, OSError where the system refuses to write.
    """
    settings, report = settings or Settings(), on_progress or (lambda _share: None)
    began = time.perf_counter()
    sidecar = target.with_name(f"{target.name}.json")
    refuse_existing(target, sidecar, overwrite=overwrite, source=source)
    is_mel, notes = source.suffix.lower() in MELS, tuple[str, ...]()
    if mel is not None and not is_mel:
        raise BadFile(f"is a recording; mel={mel} names the format of a mel spectrogram")
    if is_mel:
        if gap is not None:
            raise BadFile("is a mel spectrogram; a gap is filled in a sound file")
        log_mel, notes = read_mel(source, model, mel)
        frames = (log_mel.shape[2] - 1) * model.mel.hop
        like = Recording(source, model.mel.sample_rate, log_mel.shape[0], frames, "WAV", "PCM_16")
        parts = _made(model, log_mel, settings, report)
    else:
        like = probe(source)
        copied = _copied(model, like, settings, report)
        parts = copied if gap is None else _filled(model, like, gap, settings)
    record = _record(model, settings, weights or path_of("vocoder"), source)
    record |= {"input_mel": mel} if mel else {}
    notice = NOTICE
    if gap is not None:
        notice = f"{FILLED} from {gap[0]:g} to {gap[1]:g} s"
        record |= {"notice": notice, "gap": list(gap)}
    comment = f"{notice}; model {record['model_sha256'][:12]}, seed {settings.seed}"
    marked = replace(like, tags=like.tags | {"comment": comment, "software": record["software"]})
    with replacing(target) as temporary:
        with Writer(temporary, marked, *container_for(like, target)) as writer:
            for part in parts:
                writer.write(part)
        if is_mel and writer.clipped > LOUD * writer.frames * like.channels:
            share = writer.clipped / (writer.frames * like.channels)
            raise BadFile(
                f"gives {share:.0%} of its samples beyond full scale: it is of another definition "
                f"than the vocoder's; name its format by `mel` ({', '.join(FORMATS)})"
            )
        write_json(sidecar, record)
    return Outcome(
        input=str(source),
        output=str(target),
        rate=like.rate,
        channels=like.channels,
        frames=writer.frames,
        seconds=writer.frames / like.rate,
        took=time.perf_counter() - began,
        clipped=writer.clipped,
        device=model.device.type,
        notes=(*notes, *like.notes, *sound_alone(source, target), *writer.notes),
        **asdict(settings),
    )


def _made(
    model: Vocoder, log_mel: Tensor, settings: Settings, report: Progress
) -> Iterator[Array]:
    for hops, part in model.run(log_mel, settings):
        yield part.double().numpy()
        report(hops / (log_mel.shape[2] - 1))


def _copied(
    model: Vocoder, found: Recording, settings: Settings, report: Progress
) -> Iterator[Array]:
    shape = found.channels, found.frames
    for piece, part in copy_synthesis(model, finite_blocks(found), shape, found.rate, settings):
        yield part
        report(piece.stop / found.frames)


def _filled(
    model: Vocoder, found: Recording, gap: tuple[float, float], settings: Settings
) -> Iterator[Array]:
    """Yield the recording with its gap filled, in two readings: around the gap, and of the
    whole.
    """
    start, stop = (round(seconds * found.rate) for seconds in gap)
    if not start < stop <= found.frames:
        raise BadFile(
            f"lasts {found.frames / found.rate:.3f} s; the gap from {gap[0]:g} to {gap[1]:g} s "
            "does not lie within it"
        )
    around = math.ceil(AROUND * found.rate)
    low, high = max(0, start - around), min(found.frames, stop + around)
    _, seen = next(cut(finite_blocks(found), [Window(low, high, low, high)]))
    filled = fill(model, torch.from_numpy(seen), found.rate, start - low, stop - low, settings)
    position = 0
    for block in finite_blocks(found):
        end = position + block.shape[1]
        first, last = max(low, position), min(high, end)
        if first < last:
            block = block.copy()
            block[:, first - position : last - position] = filled[:, first - low : last - low]
        yield block
        position = end


def _record(model: Vocoder, settings: Settings, weights: Path, source: Path) -> dict[str, Any]:
    """Return all that is needed to make the same sound again, but for the input itself."""
    return {
        "notice": NOTICE,
        "synthetic": True,
        "software": f"diff_audio {version('diff-audio')}",
        "model": model.card.name,
        "model_sha256": sha256(weights),
        "mel": model.mel.describe(),
        "input_sha256": sha256(source),
        **asdict(settings),
    }
