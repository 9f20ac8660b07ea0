"""Recipe, card, load and use are one chain: two steps with every key of every recipe changed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from diff_audio import Denoiser, Mel, Spectral, Vocoder
from diff_audio.denoiser.training import job as denoise
from diff_audio.sound.level import follow
from diff_audio.sound.rumble import highpass
from diff_audio.text import SYMBOLS
from diff_audio.train import main
from diff_audio.vocoder.training import job as vocoder
from diff_audio.vocoder.training.diffwave import Waves, diffuse
from diff_audio.voice import Speaker
from diff_audio.voice.training import job as voice
from diff_core.bridge import SchroedingerBridge
from diff_core.condition import Condition
from diff_core.io import Card, CheckpointError, load, read_card, save
from diff_core.train.recipe import dump_recipe, make_recipe

TRAIN = {
    "steps": 2, "batch_size": 2, "accumulate": 2, "optimizer": "adam", "learning_rate": 2e-3,
    "schedule": "constant", "warmup": 1, "final_rate": 1e-4, "weight_decay": 0.01,
    "momentum": 0.8, "beta2": 0.99, "clip": 0.5, "ema": 0.5, "snapshot_every": 1,
    "precision": "float32", "seed": 3, "workers": 1, "validate_every": 2, "checkpoint_every": 2,
    "keep": 2, "best": "", "better": "lower", "stop_after": 0, "log_every": 1, "patience": 3,
}  # fmt: skip
MEL = {
    "sample_rate": 16000, "n_fft": 512, "hop": 128, "mels": 40, "fmin": 50.0, "fmax": 7000.0,
    "floor": 1e-4,
}  # fmt: skip
ROOMS = {
    "count": 1, "noises": 1, "size": [[3.0, 3.0, 2.5], [4.0, 4.0, 3.0]], "decay": [0.2, 0.3],
    "distance": [0.4, 1.0], "seed": 5,
}  # fmt: skip
MIXING = {
    "seconds": 0.5, "snr": [0.0, 10.0], "gentle": 0.2, "gentle_snr": [25.0, 30.0], "silent": 0.1,
    "coloured": 0.1, "babble": 0.1, "voices": [2, 3], "second": 0.5, "varied": 0.5,
    "speed": [0.9, 1.1], "equaliser": 0.5, "room": 0.2, "band_limit": 0.2, "level": 3.0,
    "weights": {"speaker0": 2.0}, "snr_law": "normal", "noises": 3, "simulated": 0.5,
    "rooms": ROOMS, "clip": 0.5, "clip_db": [2.0, 5.0], "codec": 0.5, "codecs": ["gsm"],
    "pairs": 0.2, "made": 0.3, "kinds": ["hiss", "hum"], "bed": 0.5, "bed_db": [-20.0, -10.0],
    "jump": 0.5, "jump_db": [5.0, 20.0], "follow": True, "early": 0.1, "narrow": 0.3,
    "narrow_hz": [3000.0, 5000.0],
}  # fmt: skip

DENOISE = {
    "train": TRAIN | {"best": "si_sdr", "stop_after": 1},
    "network": {
        "bins": 128, "channels": [4, 4], "width": 8, "dilations": [1], "embedding": 8,
        "unit": 0.1,
    },
    "bridge": {"k": 2.0, "c": 0.2},
    "objective": {
        "spectral": {"n_fft": 254, "hop": 100, "exponent": 0.3, "scale": 0.3}, "one_step": 0.4,
        "t_min": 0.1, "complex_weight": 10.0, "magnitude_weight": 20.0, "wave_weight": 0.1,
    },
    "mixing": MIXING,
    "validation": {"count": 2, "seconds": 1.0, "snr": 3.0},
}  # fmt: skip
VOCODER = {
    "train": TRAIN | {"best": "estoi, speaker0", "stop_after": 1},
    "network": {"width": 16, "dilations": [1]},
    "objective": {
        "mel": MEL, "one_step": 0.4, "t_min": 0.1, "t_max": 0.5, "log_weight": 2.0,
        "power_weight": 1.0, "complex_weight": 0.25,
    },
    "pieces": {"frames": 16, "level": [-25.0, -20.0], "weights": {"speaker0": 2.0}},
    "validation": 1,
    "diffwave": None,
}  # fmt: skip
DIFFWAVE = VOCODER | {"diffwave": {"channels": [8, 8], "factors": [16]}}
VOICE = {
    "train": TRAIN | {"best": "prior", "stop_after": 1},
    "network": {
        "width": 16, "depth": 1, "heads": 2, "decoder_width": 24, "dilations": [1],
        "spread": 0.5, "dropout": 0.2,
    },
    "objective": {
        "prior_weight": 0.4, "duration_weight": 0.2, "flow_weight": 0.9, "pull": 0.5,
    },
    "mel": MEL,
}  # fmt: skip

FREE = {"train.compile", "train.device"}
"""Keys that cannot be changed here: a compiler's and the machine's."""


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """The settings below `value` by their dotted names; a mapping of free names is one."""
    if not isinstance(value, dict) or name.endswith("weights"):
        return {name: value}
    return {
        full: each
        for key, inner in value.items()
        for full, each in leaves(inner, f"{name}.{key}".strip(".")).items()
    }


@pytest.mark.parametrize(
    ("kind", "settings", "also"),
    [
        (denoise.Recipe, DENOISE, set[str]()),
        (vocoder.Recipe, VOCODER, {"diffwave"}),
        (vocoder.Recipe, DIFFWAVE, set[str]()),
        (voice.Recipe, VOICE, set[str]()),
    ],
)
def test_every_key_is_changed(kind: Any, settings: dict[str, Any], also: set[str]) -> None:
    """Else a key that is added later would be none of these tests' business."""
    plain = leaves(dump_recipe(make_recipe(kind, {"train": {"steps": 6}})))
    here = leaves(dump_recipe(make_recipe(kind, settings)))
    same = {name for name, value in plain.items() if name in here and here[name] == value}
    assert same == FREE | also


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory, speechlike: Any) -> Path:
    """Three speakers, a noise, a recorded pair and texts."""
    root = tmp_path_factory.mktemp("sounds")
    (root / "wavs").mkdir()
    lines, texts = [], []
    for number in range(4):
        folder = root / "speech" / f"speaker{number}"
        folder.mkdir(parents=True)
        clean = speechlike(2.0, seed=number).T
        soundfile.write(folder / "a.wav", clean, 16000)
        noisy = clean + 0.01 * np.random.default_rng(number).standard_normal(clean.shape)
        soundfile.write(folder / "noisy.wav", noisy, 16000)
        split = "val" if number == 3 else "train"
        head = f'"split": "{split}", "speaker": "s{number}"'
        name = f"speech/speaker{number}"
        lines.append(f'{{"file": "{name}/a.wav", {head}}}')
        lines.append(f'{{"file": "{name}/noisy.wav", "clean": "{name}/a.wav", {head}}}')
        soundfile.write(root / "wavs" / f"{number}.wav", clean, 16000)
        texts.append(f"{number}|{'So ' * (number + 1)}it goes.")
    (root / "noise").mkdir()
    for split in ("train", "val"):
        noise = 0.1 * np.random.default_rng(9).standard_normal(20000)
        soundfile.write(root / "noise" / f"{split}.wav", noise, 16000)
        lines.append(f'{{"file": "noise/{split}.wav", "split": "{split}"}}')
    (root / "manifest.jsonl").write_text("\n".join(lines))
    (root / "metadata.csv").write_text("\n".join(texts))
    return root


def train(job: str, settings: dict[str, Any], out: Path, *data: object) -> Path:
    """The checkpoint of a run of the command with these settings."""
    import yaml

    out.mkdir()
    (out / "own.yaml").write_text(yaml.safe_dump(settings))
    arguments = [job, *map(str, data), "--recipe", str(out / "own.yaml"), "--out", str(out)]
    assert main([*arguments, "--device", "cpu"]) == 0
    return out / f"{job}.safetensors"


def listed(config: dict[str, Any]) -> dict[str, Any]:
    """A network's keywords with lists for tuples, as JSON has them."""
    return json.loads(json.dumps(config))


def check_recipe(card: Card, kind: Any, settings: dict[str, Any]) -> None:
    """The card's recipe is the one given, to the last key."""
    assert card.recipe == dump_recipe(make_recipe(kind, settings))
    assert make_recipe(kind, card.recipe) == make_recipe(kind, settings)


@pytest.mark.slow
def test_denoiser(sounds: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyroomacoustics")
    path = train(
        "denoise", DENOISE, tmp_path / "run", "--speech", sounds / "speech",
        "--noise", sounds / "noise", "--manifest", sounds / "manifest.jsonl",
    )  # fmt: skip
    card = read_card(path)
    check_recipe(card, denoise.Recipe, DENOISE)
    spectral = Spectral(**DENOISE["objective"]["spectral"])
    assert card.signal["spectrum"] == spectral.describe() and card.signal["sample_rate"] == 16000
    model = Denoiser.from_pretrained(path, device="cpu")
    assert model.spectral == spectral
    assert model.denoiser.schedule == SchroedingerBridge(**DENOISE["bridge"])
    assert model.denoiser.network.config == DENOISE["network"]
    # What users run is the network between the trained spectrum and its inverse.
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8000))) * 0.05
    assert model.follow and card.signal["level"] == {"decibels": -26.0, "follow": True}
    gain = follow(highpass(wave))[1]
    with torch.inference_mode():
        y = spectral.analysis((wave * gain).float())
        x_0 = model.denoiser(y, torch.ones(()), Condition(channels=y))
        expected = (spectral.synthesis(x_0, 8000) / gain).float()
    assert not torch.allclose(expected, wave.float(), atol=1e-4)
    torch.testing.assert_close(model(wave, 16000).float(), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_vocoder(sounds: Path, tmp_path: Path) -> None:
    path = train("vocoder", VOCODER, tmp_path / "run", "--speech", sounds / "speech")
    card = read_card(path)
    check_recipe(card, vocoder.Recipe, VOCODER)
    assert card.signal == {"mel": Mel(**MEL).describe()}
    model = Vocoder.from_pretrained(path, device="cpu")
    assert model.mel == Mel(**MEL)
    config = listed(model.denoiser.network.config)
    assert {name: config[name] for name in VOCODER["network"]} == VOCODER["network"]
    assert model(torch.zeros(MEL["mels"], 9) - 3.0).shape == (1, 8 * MEL["hop"])


@pytest.mark.slow
def test_diffwave(sounds: Path, tmp_path: Path) -> None:
    path = train("vocoder", DIFFWAVE, tmp_path / "run", "--speech", sounds / "speech")
    model, card = load(path)
    check_recipe(card, vocoder.Recipe, DIFFWAVE)
    mel = Mel.of(card.signal)
    assert mel == Mel(**MEL)
    fresh = Waves(**{k: tuple(v) for k, v in DIFFWAVE["diffwave"].items()}).denoiser(mel)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in fresh.state_dict().items()
    }
    wave = diffuse(model, mel, torch.zeros(1, mel.mels, 9) - 3.0, steps=2)
    assert wave.shape == (1, 8 * mel.hop)


@pytest.mark.slow
def test_voice(sounds: Path, tmp_path: Path) -> None:
    path = train("voice", VOICE, tmp_path / "run", "--data", sounds, "--speaker", "ann")
    card = read_card(path)
    check_recipe(card, voice.Recipe, VOICE)
    assert card.signal["mel"] == Mel(**MEL).describe()
    assert card.signal["speakers"] == ["ann"] and card.signal["symbols"] == list(SYMBOLS)
    speech = ("--speech", sounds / "speech")
    vocoder_path = train("vocoder", VOCODER, tmp_path / "vocoder", *speech)
    speaker = Speaker.from_pretrained(path, vocoder_path, device="cpu")
    config = listed(speaker.voice.config)
    assert {name: config[name] for name in VOICE["network"]} == VOICE["network"]
    assert config["bands"] == MEL["mels"]
    wave, rate = speaker("So it goes.")
    assert rate == MEL["sample_rate"] and wave.ndim == 1 and np.isfinite(wave).all()
    with pytest.raises(ValueError, match="mel definitions differ"):
        Speaker.from_pretrained(path, device="cpu")  # the package's vocoder has another mel


def test_a_network_for_another_spectrum_is_refused() -> None:
    settings = DENOISE | {"network": DENOISE["network"] | {"bins": 256}}
    with pytest.raises(ValueError, match=r"network\.bins is 256; expected 128"):
        make_recipe(denoise.Recipe, settings)


def test_a_denoiser_without_its_spectrum_or_with_two_is_refused(
    model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    save(path, model, Card(name="bare"))
    with pytest.raises(CheckpointError, match="no definition of the spectrum"):
        Denoiser.from_pretrained(path, device="cpu")
    other = dataclasses.replace(Spectral(), exponent=0.3)
    card = Card(
        name="two",
        signal={"spectrum": Spectral().describe()},
        recipe={"objective": {"spectral": other.describe()}},
    )
    save(path, model, card)
    with pytest.raises(CheckpointError, match=r"exponent 0\.5 \| 0\.3"):
        Denoiser.from_pretrained(path, device="cpu")
