from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.corpus import Clip, Corpus
from diff_audio.level import active_level, frame_power
from diff_audio.mixing import Mixer, Mixing, coloured, scale_to_snr

PLAIN = Mixing(gentle=0.0, silent=0.0, equaliser=0.0, room=0.0, band_limit=0.0)


def corpus(speakers: int = 4, noises: int = 2, seed: int = 0) -> Corpus:
    """Speaker k hums at 200 (k + 1) Hz, so that a spectrum tells who speaks; noise is white."""
    rng = np.random.default_rng(seed)
    samples, clips, position = [], [], 0
    for kind, count in (("speech", speakers), ("noise", noises)):
        for k in range(count):
            time = np.arange(3 * 16000) / 16000
            tone = 0.2 * np.sin(2 * np.pi * 200 * (k + 1) * time)
            wave = tone if kind == "speech" else 0.1 * rng.standard_normal(len(time))
            samples.append(np.rint(wave * 32768).astype(np.int16))
            clips.append(Clip(kind, "train", "set", f"{kind}{k}", "CC0", position, len(wave)))
            position += len(wave)
    return Corpus(np.concatenate(samples), clips)


def test_items_depend_on_seed_and_index_only() -> None:
    first, second = Mixer(corpus(), Mixing(), seed=3), Mixer(corpus(), Mixing(), seed=3)
    expected = [first[i] for i in range(12)]
    for i in reversed(range(12)):  # another order
        assert torch.equal(second[i]["clean"], expected[i]["clean"])
        assert torch.equal(second[i]["noisy"], expected[i]["noisy"])
    for a, b in itertools.combinations([*expected, Mixer(corpus(), Mixing(), seed=4)[0]], 2):
        assert not torch.equal(a["noisy"], b["noisy"])


@settings(max_examples=25, deadline=None)
@given(snr=st.floats(-20, 40), loudness=st.floats(1e-3, 1), seed=st.integers(0, 2**32))
def test_signal_to_noise_ratio_is_exact(snr: float, loudness: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech = np.float32(loudness) * rng.standard_normal(4000, dtype=np.float32)
    noise = scale_to_snr(speech, rng.standard_normal(4000, dtype=np.float32), snr)
    measured = 10 * np.log10(np.sum(speech.astype(np.float64) ** 2) / np.sum(noise**2.0))
    assert measured == pytest.approx(snr, abs=1e-3)


def test_items_have_the_ratio_that_was_asked_for() -> None:
    mixer = Mixer(corpus(), Mixing(**{**vars(PLAIN), "snr": (7.0, 7.0)}))
    for index in range(20):
        item = mixer[index]
        noise = item["noisy"] - item["clean"]
        ratio = 10 * torch.log10(item["clean"].square().sum() / noise.square().sum())
        assert ratio.item() == pytest.approx(7.0, abs=0.01)


def test_items_are_near_the_level_of_the_network() -> None:
    mixer = Mixer(corpus(), Mixing(level=3.0))
    for index in range(30):
        level = 20 * torch.log10(active_level(frame_power(mixer[index]["noisy"])))
        assert -29.1 < level.item() < -22.9


def test_length_and_finiteness_with_every_augmentation() -> None:
    always = Mixing(seconds=1.3, equaliser=1.0, room=1.0, band_limit=1.0, second=1.0)
    mixer = Mixer(corpus(), always)
    for index in range(20):
        item = mixer[index]
        assert item["clean"].shape == item["noisy"].shape == (20800,)
        assert item["clean"].dtype == torch.float32
        assert torch.isfinite(item["clean"]).all() and torch.isfinite(item["noisy"]).all()


def test_silent_speech_leaves_noise_alone() -> None:
    item = Mixer(corpus(), Mixing(silent=1.0))[0]
    assert not item["clean"].any()
    assert item["noisy"].square().mean() > 1e-4


@pytest.mark.parametrize(
    ("exponent", "decibels_per_octave"), [(0.0, 0.0), (1.0, -3.01), (2.0, -6.02)]
)
def test_coloured_noise_has_its_slope(exponent: float, decibels_per_octave: float) -> None:
    rng = np.random.default_rng(0)
    wave = coloured(rng, 1 << 18, exponent)
    assert np.mean(wave**2.0) == pytest.approx(1.0, rel=1e-3)
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / 16000)
    octaves = [(f, 2 * f) for f in (125, 250, 500, 1000, 2000, 4000)]
    levels = [10 * np.log10(power[(frequency >= a) & (frequency < b)].mean()) for a, b in octaves]
    slope = np.polyfit(range(len(levels)), levels, 1)[0]
    assert slope == pytest.approx(decibels_per_octave, abs=0.15)


def test_speech_is_of_one_speaker_and_babble_of_several() -> None:
    mixer = Mixer(corpus(speakers=6), PLAIN)

    def voices(wave: np.ndarray) -> int:
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        peaks = [spectrum[round(200 * (k + 1) * len(wave) / 16000)] for k in range(6)]
        return sum(peak > 0.1 * max(peaks) for peak in peaks)

    rng = np.random.default_rng(0)
    assert {voices(mixer.speech(rng)) for _ in range(20)} == {1}
    assert max(voices(mixer.babble(rng)) for _ in range(20)) >= 3


def test_weights_choose_the_speakers() -> None:
    base = corpus(speakers=2)
    groups = ("rare", "often")
    clips = [
        Clip(c.kind, c.split, groups[i], c.speaker, c.licence, c.start, c.length)
        for i, c in enumerate(base.select("speech", "train"))
    ]
    samples = np.concatenate([np.rint(base.read(c) * 32768).astype(np.int16) for c in clips])
    mixer = Mixer(Corpus(samples, clips), Mixing(weights={"often": 9.0}))
    rng = np.random.default_rng(0)
    waves = [mixer.speech(rng) for _ in range(300)]
    high = sum(np.abs(np.fft.rfft(w))[800] > np.abs(np.fft.rfft(w))[400] for w in waves)
    assert 250 <= high <= 290  # 270 expected, deviation 5


def test_without_recorded_noise_coloured_noise_takes_its_place() -> None:
    mixer = Mixer(corpus(noises=0), Mixing(babble=0.0, coloured=0.0, silent=0.0))
    item = mixer[0]
    assert (item["noisy"] - item["clean"]).square().mean() > 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="seconds"):
        Mixing(seconds=0)
    with pytest.raises(ValueError, match=r"coloured and babble.*0\.8 and 0\.3"):
        Mixing(coloured=0.8, babble=0.3)
    with pytest.raises(ValueError, match="no speech for split 'val'"):
        Mixer(corpus(), Mixing(), split="val")
