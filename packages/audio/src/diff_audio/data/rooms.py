"""The impulse responses of rooms: simulated once into a bank, or recorded ones from a corpus.

Shoe boxes by the image method (J. Allen and D. Berkley, "Image method for efficiently simulating
small-room acoustics", 1979), with slightly displaced images against the flutter of perfect walls
(E. De Sena et al., "On the modeling of rectangular geometries in room acoustic simulations",
2015). The simulation is pyroomacoustics' (extra `diff-audio[rooms]`). Where it has not all images,
a diffuse tail of the same decay goes on (E. Lehmann and A. Johansson, "Diffuse reverberation model
for efficient image-source simulation of room impulse responses", 2010).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from diff_audio.sound.wave import Wave
from diff_core.files import replacing

__all__ = ["EARLY", "Response", "RoomBank", "Rooms", "reverberate"]

EARLY = 0.05
"""The seconds in which reflections help the ear; they stay in the target."""
LEAD = 40  # samples before the direct sound: half of the simulator's fractional delay filter
DRAWS = 1000  # of a room, and of a place in it, before the ranges are taken to be impossible
ORDER = 10  # of the last image; the work grows with its cube
JOIN = 0.02  # s, over which the level of the tail is taken from the images
SCATTER = 0.03  # m: largest displacement of an image


@dataclass(frozen=True)
class Rooms:
    """The rooms to simulate; all ranges are uniform.

    count:    rooms in the bank
    noises:   positions of a noise in each, besides the speaker's
    size:     least and greatest (length, width, height), m
    decay:    reverberation time (T60), s
    distance: from the speaker to the microphone, m
    seed:     the seed of the bank
    """

    count: int = 200
    noises: int = 2
    size: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (3.0, 3.0, 2.4),
        (9.0, 7.0, 4.0),
    )
    decay: tuple[float, float] = (0.15, 0.7)
    distance: tuple[float, float] = (0.3, 2.5)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.noises < 0:
            raise ValueError(
                f"count must be positive and noises at least 0, got {self.count}, {self.noises}"
            )
        if not 0 < self.decay[0] <= self.decay[1] <= 1.5:
            raise ValueError(f"decay must be a range in (0, 1.5] s, got {self.decay}")
        if not 0 < self.distance[0] <= self.distance[1]:
            raise ValueError(f"distance must be a range of positive m, got {self.distance}")


@dataclass(frozen=True)
class Response:
    """A response from the speaker, and from each noise, to the microphone; peak of the direct
    sound 1.
    """

    speech: Wave
    noises: tuple[Wave, ...] = ()


class RoomBank:
    """A bank of responses to draw from. Raises ValueError without any."""

    def __init__(self, responses: Iterable[Response], rate: int) -> None:
        self.responses, self.rate = tuple(responses), rate
        if not self.responses:
            raise ValueError("a room bank needs at least one response")

    @classmethod
    def simulate(cls, rooms: Rooms, rate: int, cache: Path | None = None) -> RoomBank:
        """Simulate `rooms` at `rate` Hz, or read them from the folder `cache` if they are there.

        Room i depends on (seed, i) only. Raises ValueError if pyroomacoustics is not installed.
        """
        key = hashlib.sha256(json.dumps([1, rate, asdict(rooms)]).encode()).hexdigest()[:12]
        path = None if cache is None else cache / f"rooms-{key}.npz"
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as held:
                return cls(_unpacked(held["samples"], held["lengths"]), rate)
        made = [_simulated(rooms, rate, index) for index in range(rooms.count)]
        if path is not None:
            rows = [[response.speech, *response.noises] for response in made]
            lengths = np.array([[len(wave) for wave in row] for row in rows])
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, samples=np.concatenate(sum(rows, [])), lengths=lengths)
        return cls(made, rate)

    @classmethod
    def recorded(cls, waves: Sequence[Wave], rate: int) -> RoomBank:
        """Return recorded responses, cut to begin just before their direct sound."""
        return cls(
            [Response(_from_direct(wave, int(np.abs(wave).argmax()))) for wave in waves], rate
        )

    def draw(self, rng: Generator) -> Response:
        """Return a random response."""
        return self.responses[int(rng.integers(len(self.responses)))]


def reverberate(
    speech: Wave,
    response: NDArray[np.floating],
    rate: int,
    lead: int = LEAD,
    keep: float = EARLY,
) -> tuple[Wave, Wave]:
    """Return speech in a room: with the first `keep` seconds of its response, and with all of
    it.
    """
    from scipy.fft import next_fast_len

    size = next_fast_len(len(speech) + len(response), real=True)  # primes take ten times as long
    spectrum = np.fft.rfft(speech, size)
    early = response.copy()
    early[lead + round(keep * rate) :] = 0.0
    near, far = (np.fft.irfft(spectrum * np.fft.rfft(h, size), size) for h in (early, response))
    return near[: len(speech)].astype(np.float32), far[: len(speech)].astype(np.float32)


def _unpacked(samples: Wave, lengths: Any) -> list[Response]:
    waves = np.split(samples, np.cumsum(lengths.ravel())[:-1])
    width = lengths.shape[1]
    rows = [waves[start : start + width] for start in range(0, len(waves), width)]
    return [Response(first, tuple(others)) for first, *others in rows]


def _from_direct(wave: Wave, direct: int) -> Wave:
    """Return LEAD samples, the direct sound, and what follows down to 60 dB under all of it."""
    wave = np.pad(wave, (max(0, LEAD - direct), 0))[max(0, direct - LEAD) :]
    energy = np.cumsum(np.square(wave[::-1], dtype=np.float64))[::-1]
    heard = int(np.searchsorted(-energy, -energy[0] * 1e-6, side="right"))
    return (wave[: max(heard, LEAD + 1)] / wave[LEAD]).astype(np.float32)


def _simulated(rooms: Rooms, rate: int, index: int) -> Response:
    try:
        import pyroomacoustics as pra
    except ImportError as error:
        raise ValueError(
            "simulated rooms need pyroomacoustics: pip install 'diff-audio[rooms]'"
        ) from error
    rng = default_rng((rooms.seed, index))
    size, decay, absorption, order = _shape(rng, rooms, pra.inverse_sabine)
    complete = decay * (ORDER + 1) / (order + 1)  # s up to which the images are all there
    microphone = size * rng.uniform(0.3, 0.7, 3)
    pra.random.seed(int(rng.integers(2**31)))  # the library's own generator, of the displacements
    room: Any = pra.ShoeBox(
        size,
        fs=rate,
        materials=pra.Material(absorption),
        max_order=min(order, ORDER),
        use_rand_ism=True,
        max_rand_disp=SCATTER,
    )
    room.add_source(_near(rng, microphone, size, rooms.distance))
    for _noise in range(rooms.noises):
        room.add_source(size * rng.uniform(0.1, 0.9, 3))
    room.add_microphone(microphone)
    room.compute_rir()
    waves: list[Wave] = []
    for source, response in zip(room.sources, room.rir[0], strict=True):
        wave = np.asarray(response, np.float32)
        flight = float(np.linalg.norm(source.position - microphone)) / room.c * rate
        # the direct sound's image is displaced too
        start = max(0, LEAD + round(flight - 2 * SCATTER / room.c * rate) - 1)
        near = wave[start : LEAD + round(flight + 2 * SCATTER / room.c * rate) + 2]
        direct = start + int(np.abs(near).argmax())
        if order > ORDER:
            wave = _with_tail(rng, wave, LEAD + round(complete * rate), decay * rate, rate)
        waves.append(_from_direct(wave, direct))
    return Response(waves[0], tuple(waves[1:]))


def _with_tail(rng: Generator, wave: Wave, end: int, decay: float, rate: int) -> Wave:
    """The response up to sample `end`, and noise that decays by 60 dB in `decay` samples."""
    before = wave[max(0, end - round(JOIN * rate)) : end]
    time = np.arange(max(0, round(decay) - end) + round(0.1 * decay))
    level = np.sqrt(np.mean(np.square(before))) * 10 ** (-1.5 * len(before) / decay)
    tail = level * rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    return np.concatenate((wave[:end], tail)).astype(np.float32)


def _shape(rng: Generator, rooms: Rooms, inverse: Any) -> tuple[Any, float, float, int]:
    """Return (length, width, height), decay, absorption of the walls and order of the last
    image.
    """
    for _draw in range(DRAWS):
        size = rng.uniform(*rooms.size)
        with suppress(
            ValueError
        ):  # no wall absorbs enough for so short a decay in so large a room
            decay = float(rng.uniform(*rooms.decay))
            return size, decay, *inverse(decay, size)
    raise ValueError(f"no room of size {rooms.size} m decays within {rooms.decay} s")


def _near(rng: Generator, microphone: Any, size: Any, distance: tuple[float, float]) -> Any:
    """A point at a random distance from the microphone, at least 0.2 m from each wall."""
    for _draw in range(DRAWS):
        way = rng.standard_normal(3) * (1, 1, 0.3)
        point = microphone + rng.uniform(*distance) * way / np.linalg.norm(way)
        if np.all(point > 0.2) and np.all(point < size - 0.2):
            return point
    raise ValueError(f"no place {distance} m from the microphone in a room of {size.round(1)} m")
