"""`--confidence`: what is gathered is what the waves say; the mark follows its definition."""

import json

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.denoise import main
from diff_audio.denoiser import confidence
from diff_audio.denoiser.confidence import DOUBTFUL_DB, Tracks, expected_sdr, seconds
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.denoiser.part import Heard, Part
from diff_audio.denoiser.settings import Settings
from diff_audio.sound import measured
from diff_audio.sound.windows import Window


def gathered(denoiser, wave, settings, rate=16_000):
    tracks, out = Tracks(), []
    gain = denoiser.measure([wave], wave.shape, rate)
    for part in denoiser.run([wave], wave.shape, rate, gain, settings):
        tracks.add(part)
        out.append(part.after)
    return tracks, np.concatenate(out, axis=1)


def by_frame(wave):
    return (wave.reshape(len(wave), -1, confidence.FRAME) ** 2).mean(axis=(0, 2))


def test_tracks_are_the_powers_of_the_waves(model, speechlike):
    wave = speechlike(2.0, channels=2)
    denoiser = Denoiser(model, device="cpu")
    tracks, out = gathered(denoiser, wave, Settings())
    np.testing.assert_allclose(tracks.before, by_frame(wave), rtol=1e-5)
    np.testing.assert_allclose(tracks.kept, by_frame(out), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(tracks.removed, by_frame(wave - out), rtol=1e-4, atol=1e-9)
    assert not tracks.sampled and not tracks.spread.any()
    for settings in (Settings(limit_db=12.0), Settings(mix=0.4), Settings(mix=0.0)):
        _, out = gathered(denoiser, wave, settings)
        found = tracks.after(settings.dry)
        np.testing.assert_allclose(found, by_frame(out), rtol=1e-4, atol=1e-9)


def test_spread_is_the_variance_of_the_samples(model, speechlike):
    """K samples of one seed begin with those of fewer: means of 1..K give the samples."""
    wave = speechlike(1.0)
    denoiser = Denoiser(model, device="cpu")
    outs = [gathered(denoiser, wave, Settings(steps=2, samples=k))[1] for k in (2, 3, 4)]
    third, fourth = 3 * outs[1] - 2 * outs[0], 4 * outs[2] - 3 * outs[1]
    pair = gathered(denoiser, wave, Settings(steps=2, samples=2))[0]
    four = gathered(denoiser, wave, Settings(steps=2, samples=4))[0]
    # sum of squared deviations of four, from that of two and the other two (Chan et al., 1979)
    late = (third - fourth) ** 2 / 2 + ((third + fourth) / 2 - outs[0]) ** 2
    expected = pair.spread + by_frame(np.sqrt(late))
    np.testing.assert_allclose(3 * four.spread, expected, rtol=1e-3)


@pytest.mark.parametrize("rate", [16_000, 44_100, 12_345])
def test_tracks_do_not_depend_on_the_pieces(rate, model, speechlike, monkeypatch):
    wave = speechlike(3.3, rate)
    found = []
    for length in (1000.0, 0.7):
        monkeypatch.setattr(measured, "PIECE_SECONDS", length)
        settings = Settings(steps=2, samples=2)
        found.append(gathered(Denoiser(model, device="cpu"), wave, settings, rate)[0])
    assert len(found[0].before) == len(found[1].before) == 33
    for name in ("before", "kept", "removed", "spread"):
        whole, pieces = (getattr(tracks, name) for tracks in found)
        np.testing.assert_allclose(pieces, whole, rtol=2e-3, atol=1e-7 * whole.max())


def tracks_of(kept, removed, spread=None):
    """Seconds of constant power."""
    tracks, ones = Tracks(), torch.ones(1, 16_000, dtype=torch.float64)
    for index, (k, r) in enumerate(zip(kept, removed, strict=True)):
        clean = np.sqrt(k) * ones
        variance = None if spread is None else spread[index] * ones
        heard = Heard(16_000 * index, clean + np.sqrt(r) * ones, clean, variance)
        empty = np.zeros((1, 0))
        tracks.add(Part(Window(0, 0, 0, 0), empty, empty, heard))
    return tracks


def test_seconds_say_ratios_and_doubt_the_low_ones():
    found = seconds(tracks_of([1e-2, 1e-2, 1e-6, 0.0], [1e-4, 1.0, 1e-2, 1e-3]))
    assert [second.removed_db for second in found] == [20.0, -20.0, -20.0, None]
    assert [second.level_db for second in found] == [-20.0, -20.0, -60.0, None]
    assert found[0].sdr_db == pytest.approx(expected_sdr(20.0), abs=0.01)
    # a pause and silence hold no speech to doubt
    assert [second.sdr_db is None for second in found] == [False, False, True, True]
    assert [second.doubtful for second in found] == [False, True, False, False]
    assert expected_sdr(-20.0) < DOUBTFUL_DB < expected_sdr(20.0)


def test_samples_that_agree_are_trusted():
    found = seconds(tracks_of([1e-2] * 3, [1e-2] * 3, [1e-8, 1e-3, 1e-1]))
    assert [second.spread_db for second in found] == [40.0, 10.0, -10.0]
    sdr = [second.sdr_db for second in found]
    assert sdr == sorted(sdr, reverse=True) and found[2].doubtful and not found[0].doubtful


def test_json_of_the_command(weights, tmp_path, speechlike, capsys):
    path, out = tmp_path / "a.wav", tmp_path / "c.json"
    soundfile.write(path, speechlike(2.5, 48_000)[0], 48_000)
    options = ["--confidence", str(out), "--weights", str(weights)]
    assert main([str(path), "--samples", "2", "--steps", "2", *options]) == 0
    found = json.loads(out.read_text())
    assert found["input"] == str(path) and found["samples"] == 2 and "forecast" not in found
    assert [row["start"] for row in found["seconds"]] == [0, 1, 2]
    assert all(row["spread_db"] is not None for row in found["seconds"])
    assert main([str(path), "-o", str(tmp_path / "out"), *options[2:]]) == 0
    assert main([str(path), *options]) == 2
    assert "c.json exists" in capsys.readouterr().err
    assert main([str(path), str(path.with_name("b.wav")), *options]) == 2
    assert "--confidence is of one recording" in capsys.readouterr().err


def test_silence_has_nothing_to_doubt(weights, tmp_path):
    path, out = tmp_path / "a.wav", tmp_path / "c.json"
    soundfile.write(path, np.zeros(20_000), 16_000)
    assert main([str(path), "--confidence", str(out), "--weights", str(weights)]) == 0
    assert json.loads(out.read_text())["seconds"] == []
