"""The command, with small random models: what it writes, refuses and says."""

from __future__ import annotations

import hashlib
import io
import json
import math
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.say import main
from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS
from diff_audio.vocoder.network import FrameNet
from diff_audio.voice.model import Voice
from diff_audio.voice.speaker import Manner, Speaker
from diff_core.denoiser import FromX0
from diff_core.io import Card, save
from diff_core.schedule import RectifiedFlow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """voice, vocoder, and a vocoder of another mel."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    voice = Voice(
        len(SYMBOLS), 80, 2, width=16, depth=1, heads=2, decoder_width=16, dilations=(1,)
    )
    for parameter in voice.parameters():  # some start at zero, and would hide what they do
        torch.nn.init.normal_(parameter, std=0.05)
    torch.nn.init.constant_(voice.encoder.log_frames.bias, 2.0)
    voice.band_mean.fill_(-5.0)
    signal = {
        "mel": Mel().describe(),
        "symbols": list(SYMBOLS),
        "speakers": ["ann", "bob"],
    }
    save(
        root / "voice.safetensors", voice, Card(name="tiny", signal=signal, licences=("CC0-1.0",))
    )
    for name, mel in (("vocoder", Mel()), ("other", Mel(fmax=11025.0))):
        vocoder = FromX0(FrameNet(width=8, dilations=(1,)), RectifiedFlow())
        card = Card(name="tiny", signal={"mel": mel.describe()})
        save(root / f"{name}.safetensors", vocoder, card)
    return root


def options(models: Path, vocoder: str = "vocoder") -> list[str]:
    weights = [str(models / f"{name}.safetensors") for name in ("voice", vocoder)]
    return ["--weights", weights[0], "--vocoder", weights[1]]


def speaker(models: Path) -> Speaker:
    return Speaker.from_pretrained(
        models / "voice.safetensors", models / "vocoder.safetensors", device="cpu"
    )


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_speech_is_written_and_marked(
    models: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"hello.{suffix}"
    assert main(["Hello.", "-o", str(target), "--seed", "3", "--json", *options(models)]) == 0
    told = json.loads(capsys.readouterr().out)
    with soundfile.SoundFile(target) as file:
        tags, rate, seconds = file.copy_metadata(), file.samplerate, file.frames / file.samplerate
    assert rate == 22050 and seconds == pytest.approx(told["seconds"], abs=1e-3) and seconds > 0.3
    assert "Synthetic speech" in tags["comment"] and "seed 3" in tags["comment"]
    assert "diff_audio" in tags["software"]
    record = json.loads(target.with_name(f"{target.name}.json").read_text())
    assert record == told["record"]
    assert record["synthetic"] is True and record["model"] == "tiny" and record["seed"] == 3
    assert record["text_sha256"] == hashlib.sha256(b"Hello.").hexdigest()
    weights = (models / "voice.safetensors").read_bytes()
    assert record["model_sha256"] == hashlib.sha256(weights).hexdigest()
    assert record["speaker"] == "ann" and record["licences"] == ["CC0-1.0"]


def test_nothing_is_overwritten_unasked(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"mine")
    assert main(["Hello.", "-o", str(target), *options(models)]) == 2
    assert "exists" in capsys.readouterr().err and target.read_bytes() == b"mine"
    assert main(["Hello.", "-o", str(target), "--overwrite", "--quiet", *options(models)]) == 0
    assert target.read_bytes()[:4] == b"RIFF" and not capsys.readouterr().out
    other = tmp_path / "b.wav"
    (tmp_path / "b.wav.json").write_text("mine")
    assert main(["Hello.", "-o", str(other), *options(models)]) == 2
    assert not other.exists() and (tmp_path / "b.wav.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "nothing to say"),
        (["..."], "nothing to say"),
        (["Привет"], "CYRILLIC"),
        (["Hi \U0001f600", "--strict"], "GRINNING FACE"),
        (["[HH AH0 QQ]"], "QQ"),
        (["[HH AH0"], "never closed"),
        (["Hi.", "--speaker", "eve"], "'ann', 'bob'"),
        (["Hi.", "--engine", "flute"], "flute"),
        (["--file", "absent.txt"], "absent.txt"),
    ],
)
def test_what_cannot_be_said_is_one_line_and_no_file(
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    target = tmp_path / "out.wav"
    assert main([*arguments, "-o", str(target), *options(models)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "a.wav")
    for arguments in (
        ["Hello."],
        ["-o", target],
        ["Hello.", "--file", "x.txt", "-o", target],
        ["Hello.", "-o", target, "--rate", "9"],
        ["Hello.", "-o", target, "--steps", "0"],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["Hello.", "-o", str(tmp_path / "a.xyz"), *options(models)]) == 1
    assert "sound format" in capsys.readouterr().err
    assert main(["Hello.", "-o", str(tmp_path / "no" / "a.wav"), *options(models)]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_what_is_left_out_is_told(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.wav"
    assert main(["Hi \U0001f600 there.", "-o", str(target), *options(models)]) == 0
    assert "GRINNING FACE" in capsys.readouterr().err
    record = json.loads((tmp_path / "a.wav.json").read_text())
    assert len(record["left_out"]) == 1 and "GRINNING FACE" in record["left_out"][0]


def test_text_from_a_file_and_from_standard_input(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "text.txt"
    source.write_bytes(b"\xef\xbb\xbfA line.\nAnother line.\n")
    named = ["--file", str(source), "-o", str(tmp_path / "a.wav"), *options(models)]
    assert main(named) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source.read_bytes()), "utf-8"))
    assert main(["-", "-o", str(tmp_path / "b.wav"), *options(models)]) == 0
    first, second = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in "ab")
    assert np.array_equal(first, second)
    source.write_bytes(b"caf\xe9")
    assert main([*named[:3], str(tmp_path / "c.wav"), *options(models)]) == 1


def test_a_vocoder_of_another_mel_is_refused_with_both(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["Hi.", "-o", str(tmp_path / "a.wav"), *options(models, "other")]) == 1
    error = capsys.readouterr().err
    assert "fmax" in error and "8000" in error and "11025" in error
    swapped = ["--weights", str(models / "vocoder.safetensors")]
    assert main(["Hi.", "-o", str(tmp_path / "a.wav"), *swapped]) == 1


def test_seed_rate_and_speaker_change_the_sound(models: Path) -> None:
    voice = speaker(models)
    first, rate = voice("One, two, three.")
    assert rate == 22050 and first.dtype == np.float32
    assert np.array_equal(first, voice("One, two, three.")[0])
    assert not np.allclose(first, voice("One, two, three.", Manner(seed=1))[0], atol=1e-3)
    fast = voice("One, two, three.", Manner(rate=2.0))[0]
    assert len(fast) == pytest.approx(len(first) / 2, rel=0.1)
    assert not np.array_equal(first, voice("One, two, three.", Manner(speaker="bob"))[0])
    with pytest.raises(ValueError, match="temperature is 3"):
        Manner(temperature=3)


def test_a_mel_below_the_floor_is_digital_silence(models: Path) -> None:
    voice = speaker(models)
    voice.voice.band_mean.fill_(-20.0)
    piece = next(voice.stream("Hello."))
    assert float(piece.mel.min()) == pytest.approx(math.log(1e-5)) and not piece.wave.any()


def test_long_text_comes_piece_by_piece_and_joins_without_a_step(models: Path) -> None:
    voice = speaker(models)
    book = "The birds sang all day, and nobody came. " * 2500  # 100,000 characters
    pieces = list(islice(voice.stream(book), 3))
    assert len(pieces) == 3 and all(len(piece.wave) < 5 * 22050 for piece in pieces)
    text = "One bird sang. Two birds sang."
    parts = list(voice.stream(text))
    alone = [voice(sentence)[0] for sentence in ("One bird sang.", "Two birds sang.")]
    fade = int(0.01 * 22050)
    # the first sentence alone ends as early as the second's beginning lets it
    assert np.array_equal(parts[0].wave, alone[0][: len(parts[0].wave)])
    assert len(alone[0]) - len(parts[0].wave) == fade
    # the pause between: half of it from the end of the one, half from the beginning of the next
    pause = (parts[0].durations[-1] + parts[1].durations[0]) * 256 / 22050
    assert float(pause) > 0.3
    joined = voice(text)[0]
    assert np.array_equal(joined, np.concatenate([part.wave for part in parts]))


@pytest.mark.slow
def test_help_is_quick_to_import_and_the_module_runs(models: Path, tmp_path: Path) -> None:
    code = "import sys, diff_audio.say; print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
    command = [sys.executable, "-m", "diff_audio.say", "Hi.", "-o", str(tmp_path / "a.wav")]
    subprocess.run([*command, *options(models)], check=True, capture_output=True)
    assert soundfile.info(tmp_path / "a.wav").samplerate == 22050
