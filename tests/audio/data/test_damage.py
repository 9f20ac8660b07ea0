"""Rooms, codecs and clipping: by what is known of them from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_audio.data.damage import clipped, decaying_room, low_pass, tone
from diff_audio.data.rooms import LEAD, Response, RoomBank, Rooms, reverberate
from diff_audio.sound.codec import CODECS, coded

SMALL = Rooms(count=4, noises=1, decay=(0.3, 0.3), size=((4, 3, 2.5), (6, 5, 3)))


@pytest.fixture(scope="module")
def bank() -> RoomBank:
    return RoomBank.simulate(SMALL, 16000)


def speechlike(rate: int = 16000, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * 150 * k * time * (1 + 0.05 * time)) / k for k in range(1, 15))
    return (0.1 * tones * (1.2 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_length_place_and_level(codec) -> None:
    wave = 3 * speechlike()  # beyond full scale, which codecs cannot hold
    after = coded(wave, 16000, codec, 0.7)
    assert after.shape == wave.shape and after.dtype == np.float32
    assert np.array_equal(after, coded(wave, 16000, codec, 0.7))
    noise = np.mean((after - wave) ** 2) / np.mean(wave**2)
    assert 1e-6 < noise < 0.25
    cross = np.fft.irfft(np.conj(np.fft.rfft(wave, 1 << 16)) * np.fft.rfft(after, 1 << 16))
    assert np.argmax(cross) == 0


def test_lower_quality_is_worse() -> None:
    wave = speechlike()
    for codec in ("mp3", "vorbis", "opus"):
        errors = [np.mean((coded(wave, 16000, codec, q) - wave) ** 2) for q in (0.05, 0.95)]
        assert errors[0] > 2 * errors[1], codec


def test_mu_law_is_the_formula_of_g711() -> None:
    """Quantised in 255 steps of sgn(x) ln(1 + 255 |x|) / ln 256, to within those steps."""
    wave = np.linspace(-0.9, 0.9, 4001, dtype=np.float32)
    after = coded(wave, 8000, "mulaw", 0.5)

    def compress(x: np.ndarray) -> np.ndarray:
        return np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)

    assert np.abs(compress(after) - compress(wave)).max() < 1.6 / 127
    assert len(np.unique(after)) < 256


def test_codecs_refuse_by_name() -> None:
    with pytest.raises(ValueError, match="codec is 'zip'; expected one of mulaw"):
        coded(speechlike(), 16000, "zip", 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"quality must be in \[0, 1\], got 2"):
        coded(speechlike(), 16000, "mp3", 2)
    assert not coded(np.zeros(100, np.float32), 16000, "mp3", 0.5).any()


@given(decibels=st.floats(0, 20), seed=st.integers(0, 99))
def test_clipping_cuts_at_its_level(decibels: float, seed: int) -> None:
    wave = np.random.default_rng(seed).standard_normal(500).astype(np.float32)
    after = clipped(wave, decibels)
    limit = np.abs(wave).max() * 10 ** (-decibels / 20)
    assert np.abs(after).max() == pytest.approx(limit, rel=1e-5)
    inside = np.abs(wave) < 0.999 * limit
    assert np.array_equal(after[inside], wave[inside])


def test_curves_are_in_hertz() -> None:
    for rate in (16000, 48000):
        curve = low_pass(rate, 4000.0, rate)
        assert curve[4000] == pytest.approx(0.5**0.5, rel=1e-3)
        smooth = 20 * np.log10(tone(np.random.default_rng(0), rate, 6.0, rate))
        assert np.abs(smooth).max() <= 6.0 and np.abs(np.diff(smooth)).max() < 0.3


def test_simulated_rooms_decay_as_asked(bank: RoomBank) -> None:
    """Schroeder's backward integral falls by 20 dB, from -5 dB, in a third of T60."""
    for response in bank.responses:
        wave = response.speech[LEAD:].astype(np.float64)
        fall = 10 * np.log10(np.cumsum(wave[::-1] ** 2)[::-1] / np.sum(wave**2))
        start, stop = (np.argmax(fall < level) for level in (-5, -25))
        assert (stop - start) / 16000 * 3 == pytest.approx(0.3, rel=0.3)


def test_direct_sound_comes_first_and_nearer_is_drier(bank: RoomBank) -> None:
    for response in bank.responses:
        assert response.speech[LEAD] == pytest.approx(1.0)
        assert np.abs(response.speech[: LEAD - 5]).max() < 0.3
    ratio = {
        distance: np.mean(
            [
                1 / np.sum(r.speech[LEAD + 40 :].astype(np.float64) ** 2)
                for r in RoomBank.simulate(
                    Rooms(3, 0, decay=(0.3, 0.3), distance=(distance, distance)), 16000
                ).responses
            ]
        )
        for distance in (0.3, 1.2)
    }
    assert ratio[0.3] > 4 * ratio[1.2]  # 16 in theory, of the diffuse field


def test_rooms_are_cached_and_depend_on_their_seed(bank: RoomBank, tmp_path: Path) -> None:
    for _again in range(2):
        kept = RoomBank.simulate(SMALL, 16000, tmp_path)
        for one, other in zip(bank.responses, kept.responses, strict=True):
            assert np.array_equal(one.speech, other.speech)
            assert np.array_equal(one.noises[0], other.noises[0])
    assert len(list(tmp_path.iterdir())) == 1
    other = RoomBank.simulate(Rooms(**{**vars(SMALL), "seed": 1, "count": 1}), 16000)
    assert not np.array_equal(other.responses[0].speech[:500], bank.responses[0].speech[:500])


def test_target_keeps_the_first_50_ms() -> None:
    response = np.zeros(8000, np.float32)
    response[[LEAD, LEAD + 400, LEAD + 1600]] = 1.0, 0.5, 0.25  # 25 and 100 ms later
    click = np.zeros(16000, np.float32)
    click[1000] = 1.0
    near, far = reverberate(click, response, 16000)
    at = 1000 + LEAD
    assert near[[at, at + 400, at + 1600]] == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
    assert far[[at, at + 400, at + 1600]] == pytest.approx([1.0, 0.5, 0.25], abs=1e-6)


def test_recorded_responses_are_cut_to_their_direct_sound() -> None:
    wave = np.zeros(3000, np.float32)
    wave[[900, 1200]] = 0.5, 0.25
    response = RoomBank.recorded([wave, wave[890:]], 16000).responses
    for one in response:
        assert one.speech[LEAD] == 1.0 and one.speech[LEAD + 300] == 0.5
        assert len(one.speech) == LEAD + 301


def test_decaying_room_and_bad_settings() -> None:
    wave = decaying_room(np.random.default_rng(0), 16000)
    assert wave[0] == 1.0 and 0.15 * 16000 <= len(wave) <= 0.7 * 16000
    with pytest.raises(ValueError, match="decay must be a range"):
        Rooms(decay=(0.0, 0.2))
    with pytest.raises(ValueError, match="distance must be a range"):
        Rooms(distance=(2.0, 1.0))
    with pytest.raises(ValueError, match="at least one response"):
        RoomBank([], 16000)
    with pytest.raises(ValueError, match="no room of size"):
        RoomBank.simulate(Rooms(1, size=((30, 30, 20), (31, 31, 21)), decay=(0.1, 0.1)), 16000)
    with pytest.raises(ValueError, match=r"no place \(50, 60\) m from the microphone"):
        RoomBank.simulate(Rooms(1, distance=(50, 60)), 16000)
    assert RoomBank([Response(np.ones(1, np.float32))], 16000).draw(np.random.default_rng(0))
