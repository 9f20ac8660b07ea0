"""`--keep-noise`: input = output + removed, sample for sample; `--mix`; clipped input."""

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.denoise import main
from diff_audio.denoiser.settings import Settings
from diff_audio.jobs.removed import within_reach
from diff_audio.sound.clipping import Clipping


@pytest.fixture
def denoise(weights):
    return lambda *arguments: main(
        [*map(str, arguments), "--weights", str(weights), "--device", "cpu"]
    )


GRIDS = [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("WAV", "PCM_32"), ("AIFF", "PCM_S8")]


@pytest.mark.parametrize(("container", "subtype"), GRIDS)
def test_integers_add_up_on_their_own_grid(container, subtype, denoise, tmp_path, speechlike):
    wave = speechlike(1.2, 22_050, 2)
    path = tmp_path / f"a.{container.lower()}"
    soundfile.write(path, wave.T / np.abs(wave).max(), 22_050, subtype, format=container)
    assert denoise(path, "--keep-noise") == 0
    names = [path, path.with_stem("a_denoised"), path.with_stem("a_removed")]
    given_, kept, removed = (soundfile.read(name, dtype="int32")[0] for name in names)
    assert np.array_equal(given_, kept.astype(np.int64) + removed) and removed.any()
    assert soundfile.info(names[2]).subtype == subtype


@pytest.mark.parametrize(
    ("name", "removed_name"),
    [
        ("a.wav", "a_removed.wav"),
        ("a.ogg", "a_removed_ogg.wav"),
        ("a.mp3", "a_removed_mp3.wav"),
    ],
)
def test_floats_and_lossy_outputs_add_up_as_they_are_read_back(
    name, removed_name, denoise, tmp_path, speechlike
):
    path = tmp_path / name
    soundfile.write(path, speechlike(1.2, 44_100).T, 44_100, "FLOAT" if "wav" in name else None)
    assert denoise(path, "--keep-noise") == 0
    given_, kept = (soundfile.read(p)[0] for p in (path, path.with_stem("a_denoised")))
    where = tmp_path / removed_name
    removed, _ = soundfile.read(where)
    assert soundfile.info(where).subtype == "DOUBLE"
    assert np.array_equal(np.float32(kept + removed), np.float32(given_)) and removed.any()


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(-(2**15), 2**15 - 1)), min_size=1))
def test_noise_always_fits_its_format(values):
    after, before = np.array(values).T
    before = before / 2**15
    moved, count = within_reach(after, before, "PCM_16")
    noise = before - moved
    for wave in (moved, noise):
        assert wave.min() >= -1 and wave.max() <= 1 - 2**-15
        assert np.array_equal(wave * 2**15, np.rint(wave * 2**15))
    near = np.rint(after * 2**15) / 2**15
    free = (np.abs(near) < 1) & (np.abs(before - near) < 1)
    assert np.array_equal(moved[free], near[free]) and count <= np.sum(~free)


def test_noise_is_not_taken_for_an_input_nor_overwritten(denoise, tmp_path, speechlike, capsys):
    soundfile.write(tmp_path / "a.wav", speechlike(0.3)[0], 16_000)
    assert denoise(tmp_path, "--keep-noise", "--json") == 0
    assert json.loads(capsys.readouterr().out)["noise"] == str(tmp_path / "a_removed.wav")
    assert denoise(tmp_path, "--keep-noise", "--overwrite") == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.wav", "a_denoised.wav", "a_removed.wav"]
    (tmp_path / "a_denoised.wav").unlink()
    assert denoise(tmp_path / "a.wav", "--keep-noise") == 1
    assert "a_removed.wav exists" in capsys.readouterr().err
    assert not (tmp_path / "a_denoised.wav").exists()


def test_every_recording_has_a_file_of_its_own_for_what_was_removed(
    denoise, tmp_path, speechlike, capsys
):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.MP3", "a.mp3", "a.ogg", "a.wav", "a_denoised.wav", "a_mp3.wav"):
        soundfile.write(folder / name, speechlike(0.3)[0], 16_000)
    assert denoise(folder, "-o", tmp_path / "out", "--keep-noise", "--quiet") == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*_removed*")) == [
        "a_denoised_removed.wav", "a_mp3_removed.wav", "a_removed.wav",
        "a_removed_MP3.wav", "a_removed_mp3.wav", "a_removed_ogg.wav",
    ]  # fmt: skip
    (folder / "a_denoised.wav").unlink()
    for more in ((), ("--skip-existing",)):  # beside them, and none is taken for an input
        assert denoise(folder, "--keep-noise", "--json", *more) == 0
        assert len(capsys.readouterr().out.splitlines()) == 5
    assert len(list(folder.iterdir())) == 15


def test_mix_is_the_share_of_the_result(denoise, tmp_path, speechlike):
    wave = speechlike(0.5, 44_100, 2).T
    soundfile.write(tmp_path / "a.wav", wave, 44_100, "DOUBLE")
    outs = []
    for share in (0.0, 0.3, 1.0):
        assert denoise(tmp_path / "a.wav", "--overwrite", "--mix", share) == 0
        outs.append(soundfile.read(tmp_path / "a_denoised.wav")[0])
    np.testing.assert_array_equal(outs[0], wave)
    np.testing.assert_allclose(outs[1], 0.7 * wave + 0.3 * outs[2], atol=1e-12)


@given(st.floats(0, 1), st.floats(0, 80))
def test_mix_acts_on_what_limit_left(mix, decibels):
    """mix (floor x + (1 - floor) e) + (1 - mix) x, the share of x."""
    floor = 10 ** (-decibels / 20)
    found = Settings(mix=mix, limit_db=decibels).dry
    assert found == pytest.approx(mix * floor + 1 - mix, abs=1e-12)


def test_mix_is_a_share():
    with pytest.raises(ValueError, match="mix must be a share"):
        Settings(mix=1.5)


def clipped(wave, blocks):
    found = Clipping()
    for block in np.array_split(np.atleast_2d(wave), blocks, axis=1):
        found.add(block)
    return found.samples


def test_flat_peaks_are_counted_and_round_ones_are_not():
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 100 * time + 0.1)
    flat = np.clip(2 * tone, -1, 1)
    expected = int(np.sum(np.abs(flat) == 1))
    assert clipped(flat, 1) == expected
    assert clipped(np.stack((0.1 * tone, flat)), 1) == expected
    assert clipped(flat, 7) == pytest.approx(expected, abs=14)  # a run may be cut in two
    assert clipped(tone, 3) == 0
    assert clipped(0.5 * flat, 3) == 0  # not at full scale: cannot be told from a limiter
    assert clipped(np.zeros((2, 0)), 1) == 0


def test_the_peaks_before_a_higher_one_were_not_at_the_top():
    flat = np.clip(2 * np.sin(np.arange(8000) / 10), -0.985, 0.985)
    assert clipped(flat, 4) > 0
    flat[-1] = 1.0
    assert clipped(flat, 4) == 0


def test_a_clipped_input_is_said_in_one_line(denoise, tmp_path, speechlike, capsys):
    wave = speechlike(1.0)[0]
    soundfile.write(tmp_path / "a.wav", np.clip(20 * wave, -1, 1), 16_000, "PCM_16")
    assert denoise(tmp_path / "a.wav", "--json") == 0
    out, err = capsys.readouterr()
    count = json.loads(out)["flat"]
    assert count > 100
    assert [line for line in err.splitlines() if "input is clipped" in line] == [
        f"diff_audio.denoise: {tmp_path / 'a.wav'}: the input is clipped: {count} samples were "
        "cut off at full scale when it was recorded; denoising does not bring them back; "
        "record again at a lower level, or use a declipper first"
    ]
