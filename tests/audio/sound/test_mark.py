"""The inaudible mark: found after what happens to sound, absent in all else, unheard."""

import io
import math

import numpy as np
import pytest
import soundfile
import torch

from diff_audio.sound import mark
from diff_audio.sound.mark import ALARM, find, marked
from diff_audio.sound.resample import resample
from pages import ROOT

RATE = 22050


def moved(wave, rate, target):
    return resample(torch.from_numpy(np.asarray(wave, np.float64)), rate, target).numpy()


@pytest.fixture(scope="module")
def speech():
    wave, rate = soundfile.read(ROOT / "examples/speech_clean.wav")
    return moved(wave, rate, RATE)


@pytest.fixture(scope="module")
def spoken(speech):
    return marked(speech, RATE, "say")


def kinds(wave, rate=RATE, **more):
    return {found.kind for found in find(wave, rate, **more)}


def test_only_what_is_marked_is_found_by_its_kind_and_key(speech, spoken):
    assert not find(speech, RATE)
    assert kinds(spoken) == {"say"} and kinds(marked(speech, RATE, "restore")) == {"restore"}
    assert not find(spoken, RATE, key="another")
    assert kinds(marked(speech, RATE, "say", key="another"), key="another") == {"say"}
    best = find(spoken, RATE)[0]
    assert best.chance <= ALARM and best.start == 0 and best.end == pytest.approx(6.6, abs=0.1)


def mp3(wave):
    buffer = io.BytesIO()
    constant = {"bitrate_mode": "CONSTANT", "compression_level": 0.2}  # 128 kb/s at this rate
    soundfile.write(buffer, wave / np.abs(wave).max(), RATE, format="MP3", **constant)
    assert len(buffer.getvalue()) * 8 / (len(wave) / RATE) == pytest.approx(128_000, rel=0.05)
    buffer.seek(0)
    return soundfile.read(buffer)[0], RATE


ATTACKS = {
    "mp3": mp3,
    "resampled to 16 kHz": lambda wave: (moved(wave, RATE, 16_000), 16_000),
    "resampled to 48 kHz": lambda wave: (moved(wave, RATE, 48_000), 48_000),
    "cut": lambda wave: (wave[33_333:], RATE),
    "quieter, 16 bits": lambda wave: (np.rint(0.01 * wave * 32768) / 32768, RATE),
    "among silence": lambda wave: (np.pad(wave, (100_001, 50_000)), RATE),
    "in stereo": lambda wave: (np.stack((wave, 0.5 * wave)), RATE),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_mark_outlives(attack, spoken):
    assert kinds(*attack(spoken)) == {"say"}


def test_the_mark_outlives_other_speech_at_0_db(speech, spoken):
    """The other speech is the same speaker turned round in time: as loud, in the same bands."""
    assert kinds(spoken + speech[::-1]) == {"say"}


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_sound_is_marked_at_any_rate(speech, rate):
    assert kinds(marked(moved(speech, RATE, rate), rate, "say"), rate) == {"say"}


def test_pieces_with_silence_between_make_the_marked_whole(speech):
    first, second = speech[:50_000], speech[60_000:]
    gap = np.zeros(4096)
    whole = marked(np.concatenate((first, gap, second)), RATE, "say")
    place = len(first) + len(gap)
    assert np.abs(whole[: len(first)] - marked(first, RATE, "say")).max() < 1e-12
    assert np.abs(whole[place:] - marked(second, RATE, "say", place)).max() < 1e-12


def test_the_score_keeps_its_bound_over_keys(speech):
    """Over keys z has mean 0 and variance 1, and the largest of all shifts keeps the union's
    bound.
    """
    tiles = mark._tiles(torch.from_numpy(speech).float())[0]
    folded = np.pad(tiles, ((0, 0), (0, -tiles.shape[1] % mark._PERIOD)))
    folded = folded.reshape(len(folded), -1, mark._PERIOD).sum(1)
    keys = [mark._signs("say", f"key {number}") for number in range(400)]
    z = np.array([(signs * folded).sum() for signs in keys]) / np.sqrt((folded**2).sum())
    assert abs(z.mean()) < 4 / 20 and abs(z.var() - 1) < 4 * math.sqrt(2 / 400)
    largest = [mark._score(tiles, "say", f"key {number}") for number in range(400)]
    level = math.sqrt(2 * math.log(mark._PERIOD / 0.05))  # the bound is 5 % here
    assert np.mean(np.array(largest) > level) <= 0.05
    assert np.median(largest) > 1.5  # the largest of 64, not one


def test_silence_and_hardly_any_sound_bear_nothing():
    assert find(np.full(10, 0.5), RATE) == []
    for wave in (np.zeros(RATE), np.zeros(0), np.zeros((2, RATE))):
        assert find(wave, RATE) == []
        assert np.array_equal(marked(wave, RATE, "say"), wave)


def test_the_change_keeps_type_and_shape_and_lies_under_the_sound(speech, spoken):
    both = marked(np.stack((speech, speech)).astype(np.float32), RATE, "say")
    assert both.dtype == np.float32 and np.abs(both[1] - spoken).max() < 1e-6
    change = spoken - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(change**2)) > 15
    again = marked(1e-3 * speech, RATE, "say")
    assert np.abs(1e3 * again - spoken).max() < 1e-6  # masking is relative


@pytest.mark.pesq
def test_the_mark_is_not_heard_by_pesq(speech, spoken):
    from diff_audio.metrics.scores import pesq_wb

    assert pesq_wb(*(moved(wave, RATE, 16_000) for wave in (speech, spoken))) > 4.4
