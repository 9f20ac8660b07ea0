"""A mel spectrogram in a file (.npy, .npz, .pt) as the log-mel of the vocoder, or a refusal."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.sound.read import BadFile
from diff_audio.spectra.mel import Mel
from diff_audio.spectra.mel_formats import FORMATS, to_ours
from diff_audio.spectra.mel_kinds import foreign_kind
from diff_audio.vocoder.model import Vocoder

__all__ = ["MELS", "OURS", "read_mel"]

MELS = (".npy", ".npz", ".pt")
"""Suffixes of files that hold a mel spectrogram."""

OURS = "diff-audio"
"""The name of our own definition, for a file that does not say it."""

ENTRIES = ("mel", "log_mel", "mel_spec", "mel_spectrogram")
"""Names of the entry that is taken of a file with several."""

LOWEST = math.log(1e-8)
"""The lowest floor of other programs' natural logarithms."""

SAFE = (2, 6)  # torch before it can be made to run code by a .pt file (CVE-2025-32434)


def read_mel(
    path: Path, model: Vocoder, form: str | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Return the log-mel (B, mels, N) of a file, and notes for the user.

    form: a name in `FORMATS`, whose mel is converted; `OURS`; None to take the file for ours,
          which its statistics must not contradict

    Where `PATH.json` lies beside the file and has an entry "mel", its definition must be the
    model's. Raises BadFile or ValueError for a file that cannot be used.
    """
    values = _read(path)
    declared = _declared(path, model.mel)
    if form in FORMATS:
        loss = FORMATS[form].loss
        notes = (f"converted from the mel of {form}: {loss}; a mel of our own definition is "
                 "better",) if loss else ()  # fmt: skip
        return model.checked(to_ours(values, form, model.mel)), notes
    if values.numel() and float(values.min()) > LOWEST:  # another floor: what is below is silence
        values = values.clamp(min=math.log(model.mel.floor))
    log_mel = model.checked(values)
    if declared or form == OURS:
        return log_mel, ()
    for rows in log_mel.numpy():
        if kind := foreign_kind(rows):
            raise BadFile(
                f"does not look like natural logarithms with bands up to 8 kHz, but like {kind}; "
                f"name its format by `mel` ({', '.join(FORMATS)}), or mel={OURS} if it is "
                "ours all the same, such as of a telephone"
            )
    return log_mel, (_assumed(model.mel),)


def _assumed(mel: Mel) -> str:
    return (
        f"the file does not say how it was made: taken for natural logarithms at "
        f"{mel.sample_rate:,} Hz, hop {mel.hop}, {mel.fmin:g} to {mel.fmax:g} Hz; if it was not, "
        "the sound is wrong: name its format with --mel"
    )


def _declared(path: Path, mel: Mel) -> bool:
    beside = path.with_name(f"{path.name}.json")
    if not beside.exists():
        return False
    try:
        signal = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{beside.name} beside it is not JSON ({error})") from error
    if not isinstance(signal, dict) or "mel" not in signal:
        return False
    mel.check(cast("dict[str, Any]", signal))
    return True


def _read(path: Path) -> Tensor:
    if not path.is_file():
        raise BadFile("no such file; check the name")
    if path.suffix.lower() == ".pt":
        found = _tensors(path)
    else:
        found = _arrays(path)
    array = _one(found)
    if array.dtype.kind != "f":
        raise BadFile(f"holds {array.dtype}; expected one array of floating-point numbers")
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _one(found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the array of a file: its only one, or the one that is called a mel."""
    if len(found) == 1:
        return next(iter(found.values()))
    named = [name for name in ENTRIES if name in found]
    if len(named) == 1:
        return found[named[0]]
    listed = ", ".join(list(found)[:8]) or "nothing"
    raise BadFile(f"holds {listed}; expected one array, or one that is called mel")


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}
        with found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # numpy parses the header as Python, whose errors are many
        raise BadFile("is not an array of numpy, or damaged; write it with numpy.save") from error


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a .pt file: by torch's reader of weights, which runs no code of it."""
    if not zipfile.is_zipfile(path):
        raise BadFile("is no zip file of torch.save; save it again, or write it with numpy.save")
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < SAFE:
        raise BadFile(
            f"cannot be read safely by torch {torch.__version__}; install torch 2.6 or later, or "
            "write it with numpy.save"
        )
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises many kinds for what it does not allow
        raise BadFile(
            "holds more than tensors, or is damaged; write it with numpy.save"
        ) from error
    entries = cast("dict[Any, Any]", found) if isinstance(found, dict) else {"": found}
    tensors = {str(name): value for name, value in entries.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadFile("holds no tensor; expected one mel spectrogram")
    floats = {name: value.detach() for name, value in tensors.items()}
    return {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in floats.items()
    }
