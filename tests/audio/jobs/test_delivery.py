"""The level at which denoised recordings are delivered, by the real command."""

import json

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import resample_poly

from diff_audio.denoise import main
from diff_audio.sound.delivery import Delivery


@pytest.fixture
def denoise(weights):
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


def loudness(path):
    wave, rate = soundfile.read(path)
    return pyloudnorm.Meter(rate).integrated_loudness(wave)


def peak_db(path):
    wave, _ = soundfile.read(path)
    return 20 * np.log10(np.abs(resample_poly(wave, 8, 1, axis=0)).max())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mix", [1.0, 0.0])
def test_the_output_has_the_loudness(mix, channels, denoise, tmp_path, speechlike):
    path = tmp_path / "in.wav"
    wave = 0.05 * speechlike(12.0, 16_000, channels)
    soundfile.write(path, wave.T, 16_000, "PCM_24")
    assert denoise(path, "--loudness", "-24", "--mix", mix) == 0
    out = tmp_path / "in_denoised.wav"
    assert soundfile.info(out).frames == wave.shape[1]
    assert soundfile.info(out).subtype == "PCM_24"
    assert loudness(out) == pytest.approx(-24.0, abs=0.1)


def test_a_plain_gain_is_all_where_no_peak_is_in_the_way(denoise, tmp_path, speechlike):
    soundfile.write(tmp_path / "in.wav", 0.1 * speechlike(3.0).T, 16_000, "DOUBLE")
    assert denoise(tmp_path / "in.wav", "-o", tmp_path / "plain.wav") == 0
    assert denoise(tmp_path / "in.wav", "-o", tmp_path / "loud.wav", "--loudness", "-30") == 0
    plain, loud = (soundfile.read(tmp_path / name)[0] for name in ("plain.wav", "loud.wav"))
    factor = (plain @ loud) / (plain @ plain)
    np.testing.assert_allclose(loud, factor * plain, atol=1e-7)


def test_the_true_peak_is_held_and_the_loudness_reached(denoise, tmp_path, speechlike, capsys):
    wave = 0.02 * speechlike(6.0, 44_100)
    wave[0, 44_100::44_100] += 0.3  # clicks 20 dB over the speech
    soundfile.write(tmp_path / "in.wav", wave.T, 44_100, "PCM_16")
    assert denoise(tmp_path / "in.wav", "--mix", "0", "--loudness", "-16", "--json") == 0
    done = json.loads(capsys.readouterr().out)
    out = tmp_path / "in_denoised.wav"
    assert peak_db(out) <= -0.9
    assert loudness(out) == pytest.approx(-16.0, abs=0.1)
    assert done["delivered"]["loudness"] == pytest.approx(loudness(out), abs=0.05)
    assert done["delivered"]["limited_db"] > 6 and done["clipped"] == 0
    assert "limiter takes away" in done["notes"][0]


def test_a_peak_alone_limits_and_raises_nothing(denoise, tmp_path, speechlike):
    wave = speechlike(2.0)
    soundfile.write(tmp_path / "in.wav", wave.T, 16_000, "DOUBLE")
    assert denoise(tmp_path / "in.wav", "--mix", "0", "--peak", "-12") == 0
    out, _ = soundfile.read(tmp_path / "in_denoised.wav")
    assert peak_db(tmp_path / "in_denoised.wav") <= -11.9
    assert (np.abs(out) <= np.abs(wave[0]) + 1e-7).all()


def test_speakers_are_brought_to_the_loudest(denoise, tmp_path, speechlike):
    """The first talks, then the second, 20 dB under the first; a third channel is silent."""
    wave = np.zeros((3, 160_000))
    wave[0, :80_000] = 0.1 * speechlike(5.0)
    wave[1, 80_000:] = 0.01 * speechlike(5.0, seed=1)
    soundfile.write(tmp_path / "in.wav", wave.T, 16_000, "DOUBLE")
    assert denoise(tmp_path / "in.wav", "--mix", "0", "--level-speakers", "--peak", "0") == 0
    out, rate = soundfile.read(tmp_path / "in_denoised.wav")
    meter = pyloudnorm.Meter(rate)
    first, second = (meter.integrated_loudness(out[:, n]) for n in (0, 1))
    assert first == pytest.approx(meter.integrated_loudness(wave[0]), abs=0.01)
    assert second == pytest.approx(first, abs=0.01)
    assert not out[:, 2].any()


def test_levelled_speakers_reach_the_loudness_together(denoise, tmp_path, speechlike, capsys):
    wave = np.stack([0.1 * speechlike(5.0)[0], 0.01 * speechlike(5.0, seed=1)[0]])
    soundfile.write(tmp_path / "in.wav", wave.T, 16_000, "DOUBLE")
    path = tmp_path / "in.wav"
    assert denoise(path, "--mix", "0", "--level-speakers", "--loudness", "-20", "--json") == 0
    out, rate = soundfile.read(tmp_path / "in_denoised.wav")
    assert pyloudnorm.Meter(rate).integrated_loudness(out) == pytest.approx(-20.0, abs=0.1)
    first, second = json.loads(capsys.readouterr().out)["delivered"]["gains_db"]
    assert second - first == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize(
    ("wave", "said"),
    [(np.zeros(8000), "is silent"), (0.1 * np.ones(3), "lasts less than 0.4 s"),
     (np.full(1, 0.5), "lasts less than 0.4 s")],
)  # fmt: skip
def test_what_has_no_loudness_keeps_its_length_and_level(wave, said, denoise, tmp_path, capsys):
    soundfile.write(tmp_path / "in.wav", wave, 16_000, "FLOAT")
    assert denoise(tmp_path / "in.wav", "--mix", "0", "--loudness", "-16") == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said in err and "keeps its level" in err
    out, _ = soundfile.read(tmp_path / "in_denoised.wav", dtype="float32")
    np.testing.assert_array_equal(out, wave.astype(np.float32))


def test_no_more_gain_than_is_sensible(denoise, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "in.wav", 8e-3 * speechlike(1.0).T, 16_000, "DOUBLE")
    assert denoise(tmp_path / "in.wav", "--mix", "0", "--loudness", "-16", "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert done["delivered"]["gains_db"] == [40.0]
    assert "instead of -16" in done["notes"][0]


def test_one_channel_has_no_speakers_to_level(denoise, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "in.wav", speechlike(1.0).T, 16_000)
    assert denoise(tmp_path / "in.wav", "--level-speakers") == 0
    assert "has one channel" in capsys.readouterr().err


def test_pieces_are_seamless(denoise, tmp_path, speechlike, monkeypatch):
    import diff_audio.jobs.delivery as delivery

    soundfile.write(tmp_path / "in.wav", speechlike(4.0, 16_000, 2).T, 16_000, "DOUBLE")
    found = []
    for size in (1 << 18, 7000):
        monkeypatch.setattr(delivery, "_PIECE", size)
        out = tmp_path / f"{size}.wav"
        assert denoise(tmp_path / "in.wav", "-o", out, "--loudness", "-8") == 0
        found.append(soundfile.read(out)[0])
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--loudness", "3"], "--loudness is 3"), (["--loudness", "-70"], "--loudness is -70"),
     (["--peak", "1"], "--peak is 1"),
     (["--loudness", "-16", "--keep-noise"], "--keep-noise excludes"),
     (["--level-speakers", "--report", "page.html"], "--report excludes")],
)  # fmt: skip
def test_wrong_use_is_refused(options, said, denoise, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "in.wav", speechlike(0.5).T, 16_000)
    assert denoise(tmp_path / "in.wav", *options) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_a_delivery_of_nothing_changes_nothing():
    assert not Delivery().changes
    assert Delivery(peak=-1.0).changes and not Delivery(peak=-1.0).measures
    assert Delivery(loudness=-16.0).ceiling == pytest.approx(0.891, abs=1e-3)
