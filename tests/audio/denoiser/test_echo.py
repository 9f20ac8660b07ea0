"""The echo of a room: found where the removed part follows the voice, and kept as far as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import fftconvolve, lfilter
from torch import Tensor

from diff_audio import Denoiser, Settings
from diff_audio.denoiser.echo import Echo
from diff_audio.sound.resample import CORE_RATE

EXAMPLES = Path(__file__).parents[3] / "examples"

SECONDS = 8


def voice(rng: np.random.Generator, seconds: float = SECONDS) -> np.ndarray:
    """Noise that comes and goes in syllables, (T,)."""
    count = int(seconds * CORE_RATE)
    syllables = np.repeat(rng.random(int(seconds * 6) + 1) < 0.5, CORE_RATE // 6 + 1)[:count]
    return rng.standard_normal(count) * lfilter([0.01], [1, -0.99], syllables)


def late(rng: np.random.Generator, decay: float) -> np.ndarray:
    """The response of a room from 50 ms on, whose power falls by 60 dB in `decay` s."""
    place = np.arange(int(decay * CORE_RATE)) / CORE_RATE
    tail = rng.standard_normal(len(place)) * 10 ** (-3 * place / decay)
    tail[: CORE_RATE // 20] = 0.0
    return 0.03 * tail


def row(wave: np.ndarray) -> Tensor:
    return torch.from_numpy(wave)[None]


@pytest.mark.parametrize("decay", [0.3, 0.6, 1.0])
def test_an_echo_follows_the_voice_and_noise_does_not(decay: float) -> None:
    rng = np.random.default_rng(0)
    clean = voice(rng)
    echo = fftconvolve(clean, late(rng, decay))[: len(clean)]
    other = voice(np.random.default_rng(1))
    for removed, lowest, highest in (
        (echo, 0.4, 1.0),
        (0.3 * clean, 0.0, 1e-6),
        (rng.standard_normal(len(clean)) * echo.std(), 0.0, 0.02),
        (other, 0.0, 0.03),
    ):
        found = Echo()
        found.add(row(clean + removed), row(clean))
        assert lowest <= found.share <= highest


def test_the_level_of_either_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    clean = voice(rng)
    echo = fftconvolve(clean, late(rng, 0.5))[: len(clean)]
    shares = []
    for scale, removed in ((1.0, 1.0), (1e-4, 1.0), (1.0, 0.01)):
        found = Echo()
        found.add(row(scale * (clean + removed * echo)), row(scale * clean))
        shares.append(found.share)
    assert shares[1:] == pytest.approx([shares[0]] * 2, rel=1e-6)


def test_short_parts_wait_for_one_another() -> None:
    rng = np.random.default_rng(3)
    clean = voice(rng)
    noisy = clean + fftconvolve(clean, late(rng, 0.5))[: len(clean)]
    whole, parts = Echo(), Echo()
    whole.add(row(noisy), row(clean))
    for start in range(0, len(clean), CORE_RATE // 4):
        assert parts.share == 0 or start >= 3 * CORE_RATE
        cut = slice(start, start + CORE_RATE // 4)
        parts.add(row(noisy[cut]), row(clean[cut]))
    assert parts.share == pytest.approx(whole.share, abs=0.15)
    assert Echo().share == 0
    silent = Echo()
    silent.add(torch.zeros(1, 4 * CORE_RATE), torch.zeros(1, 4 * CORE_RATE))
    assert silent.share == 0


def test_what_is_kept_moves_in_a_second() -> None:
    rng = np.random.default_rng(4)
    clean = voice(rng)
    echo = Echo()
    assert (echo.kept(0.4, 100, 50) == 0).all()
    echo.add(row(clean + fftconvolve(clean, late(rng, 0.8))[: len(clean)]), row(clean))
    path = echo.kept(0.4, 100, 50)
    assert path[:50].diff().max() <= 0.4 / 50 + 1e-12
    torch.testing.assert_close(path[50:], torch.full((50,), 0.4, dtype=torch.float64))
    assert (echo.kept(0.0, 100, 50)[60:] == 0).all()


@pytest.fixture(scope="module")
def rooms() -> dict[str, np.ndarray]:
    """The example's clean speech, dry and in a room."""
    wave, rate = soundfile.read(EXAMPLES / "speech_clean.wav")
    assert rate == CORE_RATE
    rng = np.random.default_rng(5)
    wet = wave + fftconvolve(wave, late(rng, 0.8))[: len(wave)]
    noise = 0.05 * rng.standard_normal(len(wave)) * wave.std()
    return {"dry": wave + noise, "wet": wet}


def test_the_shipped_network_keeps_some_of_a_room_and_only_there(
    rooms: dict[str, np.ndarray],
) -> None:
    model = Denoiser.from_pretrained(device="cpu")
    dry = [model(rooms["dry"], CORE_RATE, Settings(room=room)) for room in (0.0, 0.4)]
    assert np.abs(dry[1] - dry[0]).max() <= 0.05 * np.abs(rooms["dry"] - dry[0]).max()
    none, some, whole = (
        model(rooms["wet"], CORE_RATE, Settings(room=room)) for room in (0.0, 0.4, 1.0)
    )
    removed = np.linalg.norm(rooms["wet"] - none)
    left = [np.linalg.norm(rooms["wet"] - wave) / removed for wave in (some, whole)]
    assert left[0] == pytest.approx(0.6, abs=0.1) and left[1] < 0.2
