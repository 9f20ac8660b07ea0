"""The sounds and pictures of docs/audio/denoise.md, made by `denoise.py --samples FOLDER`.

Held-out recordings whose licence allows it: speech of kathleen_en (CC0) and LibriSpeech (CC BY
4.0), noise of mycroft_noises (public domain). `credits.json` says what is heard where.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from mixtures import SECONDS, crop, files_of

from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.metrics import RATE
from diff_audio.pages.before_after import before_after
from diff_audio.sound.level import normalise

__all__ = ["write_samples"]

SNR_DB, PEAK = 5.0, 0.7
SCENES = (
    ("recorded", "kathleen_en", "mycroft_noises"),
    ("babble", "kathleen_en", "librispeech_tc100"),
    ("white", "librispeech_tc100", ""),
)
"""Name, set of the speech, set of the noise; none is white noise, one of speech is babble."""

LICENCES = {
    "kathleen_en": "CC0",
    "mycroft_noises": "public domain",
    "librispeech_tc100": "LibriSpeech, V. Panayotov et al. 2015, CC BY 4.0; mixed and cut",
}


def write_samples(folder: Path, options: argparse.Namespace) -> None:
    """Writes NAME_before.ogg, NAME_after.ogg, NAME.png for each scene, and credits.json."""
    import soundfile
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    model = Denoiser.from_pretrained(options.weights, device="cpu")
    sounds = files_of(options.speech, options) | files_of(options.noise, options)
    told: dict[str, dict[str, str]] = {}
    for index, (name, speech, noise) in enumerate(SCENES):
        rng = np.random.default_rng([options.seed, index])
        clean = crop(rng, _of(sounds, speech)[0])
        if not noise:
            other = rng.standard_normal(SECONDS * RATE)
        else:
            voices = [crop(rng, paths) for paths in _of(sounds, noise)[-6:]]
            other = sum(normalise(torch.from_numpy(v)[None])[0][0].numpy() for v in voices)
        other = other * np.linalg.norm(clean) / np.linalg.norm(other) * 10 ** (-SNR_DB / 20)
        noisy = clean + other
        noisy *= PEAK / np.abs(noisy).max()
        after = model(noisy, RATE)
        for label, wave in (("before", noisy), ("after", after)):
            soundfile.write(folder / f"{name}_{label}.ogg", wave, RATE, format="OGG")
        picture = folder / f"{name}.png"
        before_after(noisy, after, RATE, picture)
        Image.open(picture).convert("RGB").quantize(96).save(picture, optimize=True)
        told[name] = {key: LICENCES[key] for key in (speech, noise) if key}
    (folder / "credits.json").write_text(json.dumps(told, indent=1) + "\n")


def _of(sounds: dict[str, list[Path]], name: str) -> list[list[Path]]:
    """The files of each speaker of a set."""
    found = [paths for key, paths in sorted(sounds.items()) if key.startswith(f"{name}/")]
    if not found:
        raise SystemExit(f"--samples: the manifest has no held-out recordings of {name}")
    return found
