"""Results that show themselves in a notebook: what is played and drawn is what was given."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from diff_audio.pages.notebook import Compared as Sound
from diff_medical.pages.notebook import Compared as Scan

RATE = 16_000


def test_a_recording_plays_before_after_and_the_removed_part():
    time = np.arange(RATE) / RATE
    after = 0.3 * np.sin(2 * np.pi * 500 * time)
    before = after + 0.3 * np.sin(2 * np.pi * 3000 * time)
    html = Sound(before, after, RATE)._repr_html_()
    sounds = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', html)
    heard = [soundfile.read(io.BytesIO(base64.b64decode(sound))) for sound in sounds]
    tones = [
        {hertz: np.abs(np.exp(-2j * np.pi * hertz * np.arange(len(w)) / r) @ w) / len(w)
         for hertz in (500, 3000)}
        for w, r in heard
    ]  # fmt: skip
    present = [{hertz for hertz, size in tone.items() if size > 0.05} for tone in tones]
    assert present == [{500, 3000}, {500}, {3000}]
    assert len(re.findall("<img", html)) == 3 and "http" not in html
    with pytest.raises(ValueError, match="of one shape"):
        Sound(before, after[:-1], RATE)


def slices(html: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_a_scan_shows_each_slice_before_after_and_the_removed_part():
    before = np.random.default_rng(0).uniform(0, 100, (12, 9, 30)).astype(np.float32)
    before[:6] += 1000  # the left half is bright
    after = before.copy()
    after[2, 7, 14] -= 60
    html = Scan(before, after)._repr_html_()
    shown = slices(html)
    assert len(shown) == 24 and 'max="23"' in html and html.count("<figure") == 24
    assert html.count(" hidden>") == 23
    picture = shown[0]
    assert picture.shape == (9, 3 * (12 + 2))
    left, right = picture[:, 1:7].mean(), picture[:, 7:13].mean()
    assert left > right + 100  # x to the right
    whole = slices(Scan(before[:, :, 14], after[:, :, 14])._repr_html_())
    assert len(whole) == 1
    removed = whole[0][:, -13:-1].astype(int)
    row, column = np.unravel_index(np.abs(removed - 128).argmax(), removed.shape)
    assert (row, column) == (9 - 1 - 7, 2)  # y upwards
    assert len(slices(Scan(before, after, axis=0)._repr_html_())) == 12
    with pytest.raises(ValueError, match="of one shape"):
        Scan(before, after[..., 1:])
    with pytest.raises(ValueError, match="axis is 3"):
        Scan(before, after, axis=3)


def test_a_scan_that_stayed_as_it_was_is_shown():
    same = np.zeros((4, 4, 4))
    (one, *_) = slices(Scan(same, same)._repr_html_())
    assert set(np.unique(one[:, -5:-1])) == {128}
