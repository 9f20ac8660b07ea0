"""The picture of before and after, read back pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from diff_audio.pages.before_after import before_after

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE


def panels(path):
    """The two spectrograms as brightness (H, W), 0 to 255, high frequencies first."""
    pixels = np.asarray(Image.open(path).convert("L"), dtype=float)
    height, width = pixels.shape
    lower = pixels[int(0.45 * height) : int(0.85 * height)]
    return lower[:, int(0.1 * width) : int(0.45 * width)], lower[
        :, int(0.53 * width) : int(0.88 * width)
    ]


def test_a_tone_is_a_line_at_its_height_and_silence_is_black(tmp_path):
    path = tmp_path / "picture.png"
    heights = {}
    for frequency in (3000.0, 6000.0):
        before_after(np.sin(2 * np.pi * frequency * TIME), np.zeros_like(TIME), RATE, path)
        left, right = panels(path)
        assert left.max() > 200
        assert right.max() < 10
        pixels = np.asarray(Image.open(path).convert("L"), dtype=float)
        # On the right the spectrogram is the longest black run of a column: its lower edge is
        # 0 Hz, its upper edge 8 kHz.
        dark = np.flatnonzero(np.diff(pixels[:, int(0.7 * pixels.shape[1])] < 10)) + 1
        top, bottom = max(zip(dark[:-1], dark[1:], strict=True), key=lambda run: run[1] - run[0])
        row = int(0.45 * pixels.shape[0]) + int(left.mean(axis=1).argmax())
        heights[frequency] = (bottom - row) / (bottom - top)
    assert heights == pytest.approx({3000.0: 0.375, 6000.0: 0.75}, abs=0.02)


def test_both_sides_have_one_scale(tmp_path):
    path = tmp_path / "picture.png"
    wave = np.random.default_rng(0).standard_normal(len(TIME))
    before_after(wave, wave, RATE, path)
    same = [panel.mean() for panel in panels(path)]
    before_after(wave, 0.01 * wave, RATE, path)
    loud, quiet = (panel.mean() for panel in panels(path))
    assert same[0] == pytest.approx(same[1], abs=2.0)
    assert loud == pytest.approx(same[0], abs=2.0)
    assert quiet < 0.6 * loud


@pytest.mark.parametrize("shape", [(1,), (50,), (4000, 2), (400_000,)])
def test_any_length_and_channels(tmp_path, shape):
    wave = np.random.default_rng(1).standard_normal(shape)
    before_after(wave, 0.5 * wave, 48_000, tmp_path / "picture.png")
    assert Image.open(tmp_path / "picture.png").size == (1320, 624)


@pytest.mark.parametrize(
    ("noisy", "denoised", "rate", "message"),
    [
        (np.zeros(4), np.zeros(5), RATE, "equal length, got 4 and 5"),
        (np.zeros(0), np.zeros(0), RATE, "noisy must be .* not empty"),
        (np.zeros(4), np.zeros((1, 2, 2)), RATE, "denoised must be"),
        (np.zeros(4), np.zeros(4), 0, "rate must be positive"),
    ],
)
def test_bad_arguments_are_named(tmp_path, noisy, denoised, rate, message):
    with pytest.raises(ValueError, match=message):
        before_after(noisy, denoised, rate, tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_of_picture_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        before_after(np.zeros(99), np.zeros(99), RATE, tmp_path / "picture.xyz")
    assert not list(tmp_path.iterdir())
