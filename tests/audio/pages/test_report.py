"""`--report`: one page that holds everything and asks for nothing."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from PIL import Image

from diff_audio.denoise import main
from diff_audio.pages.report import EXCERPT


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def decoded(uri):
    return base64.b64decode(uri.split("base64,")[1])


@pytest.fixture
def page(weights, tmp_path):
    def make(wave, rate, *options, name="a.wav", subtype="PCM_16"):
        soundfile.write(tmp_path / name, wave.T, rate, subtype)
        out = tmp_path / "r.html"
        arguments = [str(tmp_path / name), "--report", str(out), "--weights", str(weights)]
        assert main([*arguments, "--overwrite", *map(str, options)]) == 0
        return Page(out)

    return make


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2), (96_000, 3)])
def test_the_page_holds_sound_and_pictures_of_before_after_and_removed(
    rate, channels, page, tmp_path, speechlike
):
    wave = speechlike(2.3, rate, channels)
    found = page(wave, rate, "--limit", "6")
    sounds = {tag["id"]: decoded(tag["src"]) for tag in found.all("audio")}
    waves = {name: soundfile.read(io.BytesIO(data)) for name, data in sounds.items()}
    assert list(waves) == ["before", "after", "removed"]
    for samples, heard in waves.values():
        assert heard == min(rate, 48_000) and len(samples) / heard == pytest.approx(2.3, abs=0.1)
        assert np.ndim(samples) == (2 if channels == 2 else 1)
    length = min(len(samples) for samples, _ in waves.values())
    before, after, removed = (samples[:length] for samples, _ in waves.values())
    # an MP3 is not exact, but it is the same sound: what is heard adds up
    assert np.std(before - after - removed) < 0.1 * np.std(before)
    pictures = [Image.open(io.BytesIO(decoded(tag["src"]))) for tag in found.all("img")]
    assert len({picture.size for picture in pictures}) == 1 and len(pictures) == 3
    bars = [tag for tag in found.all("span") if tag.get("class", "").startswith("bar ")]
    assert 1 <= len(bars) <= 3
    assert "at most 6 dB" in found.text and f"{rate / 1000:g} kHz" in found.text


def test_the_page_asks_nothing_of_a_network_and_escapes_names(page, tmp_path, speechlike):
    found = page(speechlike(0.5), 16_000, name="a <b> & 'c'.wav")
    assert "a <b> & 'c'.wav" in found.text and not found.all("b")[0].get("src")
    for _, attributes in found.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    style = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import|fetch\(", style)


def test_scores_and_faults_are_on_the_page(page, tmp_path, speechlike):
    wave = speechlike(2.5)
    soundfile.write(tmp_path / "clean.wav", wave[0], 16_000)
    loud = np.clip(30 * wave, -1, 1)
    found = page(loud, 16_000, "--reference", tmp_path / "clean.wav")
    assert "Scores against clean.wav" in found.text and "SI-SDR" in found.text
    assert "were cut off at full scale when it was recorded" in found.text


def test_a_long_recording_shows_its_beginning_and_all_of_its_tracks(page, speechlike):
    wave = np.tile(speechlike(10.0, 8000), 13)
    found = page(wave, 8000)
    shown = decoded(found.all("audio")[1]["src"])
    assert soundfile.info(io.BytesIO(shown)).duration == pytest.approx(EXCERPT, abs=0.2)
    assert "The first 2 minutes" in found.text and "The whole recording" in found.text


@pytest.mark.parametrize("length", [1, 160])
@pytest.mark.parametrize("level", [0.0, 1e-3])
def test_very_short_and_silent_recordings_have_a_page(length, level, page):
    found = page(level * np.ones((1, length)), 16_000, subtype="DOUBLE")
    assert len(found.all("audio")) == 3


def test_wrong_use(weights, tmp_path, speechlike, capsys):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, speechlike(0.3)[0], 16_000)
    assert main([path, "--reference", path, "--weights", str(weights)]) == 2
    assert "--report" in capsys.readouterr().err
    out = tmp_path / "r.html"
    out.write_text("precious")
    assert main([path, "--report", str(out), "--weights", str(weights)]) == 2
    assert out.read_text() == "precious"
