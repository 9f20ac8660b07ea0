"""The command, with small random models: what it writes, refuses and says."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import resample_poly

from diff_audio.jobs.play import play
from diff_audio.say import main
from diff_audio.voice.speaker import Manner
from tiny_voice import options, speaker, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


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


def test_long_text_comes_piece_by_piece(models: Path) -> None:
    voice = speaker(models)
    book = "The birds sang all day, and nobody came. " * 2500  # 100,000 characters
    pieces = list(islice(voice.stream(book), 3))
    assert len(pieces) == 3 and all(len(piece.wave) < 5 * 22050 for piece in pieces)
    plain = Manner(loudness=None)
    parts = list(voice.stream("One bird sang. Two birds sang.", plain))
    joined = voice("One bird sang. Two birds sang.", plain)[0]
    assert np.array_equal(joined, np.concatenate([part.wave for part in parts]))
    alone = voice("One bird sang.", plain)[0]
    assert np.array_equal(parts[0].wave[: len(alone)], alone)
    assert not parts[0].wave[len(alone) :].any()  # the pause is digital silence
    assert parts[1].start == pytest.approx(len(parts[0].wave) / 22050, abs=1e-3)


def silences(wave: np.ndarray) -> list[float]:
    """Seconds of the runs of digital silence of at least 0.1 s within a sound."""
    found, run = [], 0
    for zero in (*(wave == 0), False):
        if zero:
            run += 1
        else:
            found += [run / 22050] if run > 2205 else []
            run = 0
    return found


def test_pauses_are_silent_and_as_long_as_the_text_says(models: Path) -> None:
    voice = speaker(models)
    text = "# Title\n\nOne bird. Two birds.\n\nThree birds.\n\nFour."
    heading, sentence, paragraph, _ = silences(voice(text)[0])
    own = 0.13  # of each, the voice's own silence, fading
    assert [heading, sentence, paragraph] == pytest.approx(
        [1 - own, 0.4 - own, 0.8 - own], abs=0.01
    )
    longer = silences(voice(text, Manner(pause=2.0))[0])
    assert longer[0] == pytest.approx(2 - own, abs=0.01)
    assert not silences(voice(text, Manner(pause=0.0))[0])
    given = voice('<speak>One <break time="1.5s"/> two <break time="0s"/> three</speak>')[0]
    assert silences(given) == pytest.approx([1.5 - own], abs=0.01)


def test_the_loudness_is_what_was_asked_for(models: Path, tmp_path: Path) -> None:
    text = "One bird sang. Two birds sang all day, and nobody came. Then they left."
    for wanted in (-19.0, -30.0):
        wave, rate = speaker(models)(text, Manner(loudness=wanted))
        assert pyloudnorm.Meter(rate).integrated_loudness(wave) == pytest.approx(wanted, abs=0.3)
        target = tmp_path / f"{wanted}.wav"
        options_ = ["--loudness", str(wanted), "--quiet", *options(models)]
        assert main([text, "-o", str(target), *options_]) == 0
        heard = soundfile.read(target)[0]
        assert pyloudnorm.Meter(rate).integrated_loudness(heard) == pytest.approx(wanted, abs=0.3)
    loud = speaker(models)(text, Manner(loudness=-8.0))[0]
    assert np.abs(resample_poly(loud, 4, 1)).max() <= 10 ** (-0.95 / 20)
    raw = speaker(models)(text, Manner(loudness=None))[0]
    assert pyloudnorm.Meter(22050).integrated_loudness(raw) != pytest.approx(-19, abs=0.5)


def test_pitch_moves_the_spectrum_and_keeps_the_length(models: Path) -> None:
    voice = speaker(models)
    plain, high = (
        voice("One, two, three.", Manner(pitch=pitch, loudness=None))[0] for pitch in (0.0, 6.0)
    )
    assert len(high) == pytest.approx(len(plain), rel=0.05)

    def middle(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float((power * np.fft.rfftfreq(len(wave), 1 / 22050)).sum() / power.sum())

    assert middle(high) > 1.1 * middle(plain)


def test_rate_and_emphasis_of_ssml_change_the_words_they_stand_around(models: Path) -> None:
    voice = speaker(models)
    plain = next(voice.stream("<speak>we go now home</speak>"))
    slow = next(voice.stream('<speak>we <prosody rate="50%">go now</prosody> home</speak>'))
    lengths = [[word.end - word.start for word in piece.words] for piece in (plain, slow)]
    ratios = np.array(lengths[1]) / np.array(lengths[0])
    assert ratios == pytest.approx([1, 2, 2, 1], abs=0.25)


def test_words_have_the_times_of_their_symbols(models: Path) -> None:
    voice = speaker(models)
    pieces = list(voice.stream("One bird, two. Three birds sang 5 songs."))
    words = [word for piece in pieces for word in piece.words]
    assert [word.word for word in words] == "one bird two three birds sang five songs".split()
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(words))
    assert all(word.start < word.end for word in words)
    assert words[3].start > pieces[1].start
    total = sum(len(piece.wave) for piece in pieces) / 22050
    assert total - 0.2 < words[-1].end <= total
    first = pieces[0]
    hop = 256 / 22050  # the first word: its three symbols, after what was cut off of the begin
    assert words[0].end - words[0].start == pytest.approx(
        float(first.durations[1:4].sum()) * hop, abs=2e-3
    )


def test_times_as_json_and_subtitles(models: Path, tmp_path: Path) -> None:
    text = "# The <b>Title</b>\n\nOne bird sang & left [1]. " + "Two birds " * 12 + "sang."
    for suffix in (".json", ".srt", ".vtt"):
        times = tmp_path / f"times{suffix}"
        target = str(tmp_path / f"a{suffix}.wav")
        assert main([text, "-o", target, "--times", str(times), *options(models)]) == 0
    cues = json.loads((tmp_path / "times.json").read_text())
    assert [cue["text"] for cue in cues[:2]] == ["The Title", "One bird sang & left."]
    assert [word["word"] for word in cues[1]["words"]] == "one bird sang and left".split()
    assert all(a["end"] <= b["start"] for a, b in pairwise(cues))
    blocks = (tmp_path / "times.srt").read_text().split("\n\n")
    number, clock, said = blocks[1].split("\n")
    assert (number, said) == ("2", "One bird sang & left.")
    start, end = (
        sum(
            float(part) * scale
            for part, scale in zip(re.split("[:,]", one), (3600, 60, 1, 1e-3), strict=True)
        )
        for one in clock.split(" --> ")
    )
    assert (start, end) == pytest.approx((cues[1]["start"], cues[1]["end"]))
    web = (tmp_path / "times.vtt").read_text()
    assert web.startswith("WEBVTT\n\n1\n00:00:00.") and "sang &amp; left." in web
    assert max(map(len, web.splitlines())) <= 42
    assert main([text, "-o", target, "--overwrite", "--times", "a.txt", *options(models)]) == 1


def test_a_lexicon_is_spoken_and_recorded(models: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("Siobhan  SH AH0 V AO1 N\n")
    target = tmp_path / "a.wav"
    given = ["Siobhan", "-o", str(target), "--lexicon", str(own), *options(models)]
    assert main(given) == 0
    record = json.loads((tmp_path / "a.wav.json").read_text())
    assert record["lexicon_sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    other = speaker(models)("[SH AH0 V AO1 N]")[0]
    assert len(soundfile.read(target)[0]) == len(other)
    own.write_text("Siobhan  QQ1\n")
    assert main([*given, "--overwrite"]) == 1


def test_another_language_is_named(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "Der Hund und die Katze sind nicht im Haus, aber sie haben es gut mit uns."
    assert main([text, "-o", str(tmp_path / "a.wav"), *options(models)]) == 0
    assert "seems to be German" in capsys.readouterr().err


def test_playing_says_what_it_needs(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as where it is not installed
    assert main(["Hi.", "--play", *options(models)]) == 1
    assert "pip install 'diff-audio[play]'" in capsys.readouterr().err
    assert main(["Hi.", "--play", "-o", "a.wav"]) == 2
    assert "--play makes no file" in capsys.readouterr().err


class Loudspeaker(list):
    """A stand-in for the device, which no test machine has: it keeps what it is given."""

    def write(self, frames: np.ndarray) -> None:
        self.append(frames)

    def stop(self) -> None: ...

    close = stop


def test_playing_hands_over_each_sentence(models: Path) -> None:
    heard = Loudspeaker()
    voice = speaker(models)
    seconds, skipped = play(voice, "One bird [1]. Two birds.", Manner(), None, heard)
    assert [one.name for one in skipped] == ["citation"] and len(heard) == 2
    assert all(frames.shape[1] == 1 and frames.dtype == np.float32 for frames in heard)
    assert seconds == pytest.approx(sum(map(len, heard)) / 22050)


def test_help_is_quick_to_import() -> None:
    code = "import sys, diff_audio.say; print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
