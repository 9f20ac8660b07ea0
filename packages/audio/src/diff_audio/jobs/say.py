"""A text spoken into a file: sentence by sentence, marked as synthetic, with a record beside
it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from diff_audio.sound.read import BadFile, Recording
from diff_audio.sound.write import Writer, container_for
from diff_audio.voice.outcome import Outcome
from diff_audio.voice.picture import draw
from diff_audio.voice.speaker import Manner, Piece, Speaker
from diff_audio.weights import path_of
from diff_core.files import file_job, refuse_existing, replacing, sha256, write_json

__all__ = ["say_into"]

NOTICE = "Synthetic speech, made by a machine: diff_audio"
_SHOWN = 5  # things left out that are named


@file_job
def say_into(
    output: Path,
    text: str,
    manner: Manner,
    *,
    weights: Path | None = None,
    vocoder: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    picture: Path | None = None,
) -> Outcome:
    """Speak a text into a file, with `OUTPUT.json` beside it; both are whole or absent.

    Raises ValueError (BadFile) for a text with nothing to say, an unknown speaker, a model that
    cannot be used, and a suffix that is no sound format's; FileExistsError for a file that exists,
    unless `overwrite`.
    """
    begun = time.perf_counter()
    sidecar = output.with_name(f"{output.name}.json")
    refuse_existing(output, sidecar, picture, overwrite=overwrite)
    if not output.parent.is_dir():
        raise BadFile(f"folder {output.parent} does not exist; make it, or choose another")
    like = Recording(Path("speech.wav"), 0, 1, 0, "WAV", "PCM_16")
    format, subtype = container_for(like, output)
    speaker = Speaker.from_pretrained(weights, vocoder, device=device)
    files = weights or path_of("voice"), vocoder or path_of("vocoder")
    record = _record(speaker, text, manner, *files)
    tags = {
        "software": record["software"],
        "comment": f"{NOTICE}. Voice {record['speaker']}, model {record['model_sha256'][:12]}, "
        f"seed {manner.seed}, text {record['text_sha256'][:12]}.",
    }
    like = replace(like, rate=speaker.sample_rate, tags=tags)
    left_out: list[str] = []
    first: Piece | None = None
    with replacing(output) as temporary:
        with Writer(temporary, like, format, subtype) as writer:
            for piece in speaker.stream(text, manner):
                first = first or piece
                left_out += [str(skipped) for skipped in piece.spoken.skipped]
                writer.write(piece.wave[None].astype(np.float64))
            frames, clipped = writer.frames, writer.clipped
        record |= {"seconds": round(frames / speaker.sample_rate, 3), "left_out": left_out}
        write_json(sidecar, record)
    if picture is not None and first is not None:
        title = " ".join(first.spoken.words)
        draw(first.mel, first.durations, first.symbols, speaker.mel, title, picture)
    warnings = []
    if left_out:
        more = f", and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        warnings.append(f"left out: {'; '.join(left_out[:_SHOWN])}{more}")
    if clipped:
        warnings.append(f"{clipped} samples lay beyond full scale and were cut off")
    took = time.perf_counter() - begun
    return Outcome(str(output), record, record["seconds"], took, tuple(warnings))


def _record(
    speaker: Speaker, text: str, manner: Manner, weights: Path, vocoder: Path
) -> dict[str, Any]:
    """Return all that is needed to make the same sound again, but for the text itself."""
    return {
        "notice": NOTICE,
        "synthetic": True,
        "software": f"diff_audio {version('diff-audio')}",
        "model": speaker.card.name,
        "model_sha256": sha256(weights),
        "training_data": list(speaker.card.data),
        "licences": list(speaker.card.licences),
        "vocoder": speaker.vocoder.card.name,
        "vocoder_sha256": sha256(vocoder),
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        **asdict(manner),
        "speaker": manner.speaker or speaker.speakers[0],
    }
