"""Noisy speech without end: every item is a pure function of (seed, index).

Clean speech by speaker, noise that is recorded, coloured or the babble of other speakers, at a
random ratio and level. Everything is drawn from one generator seeded with (seed, index), so that a
run can stop, resume, or be spread over processes without changing what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.corpus import Clip, Corpus, Split
from diff_audio.level import normalise
from diff_audio.resample import CORE_RATE

__all__ = ["Mixer", "Mixing", "coloured", "scale_to_snr"]

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Mixing:
    """How noisy speech is made. Probabilities are per item.

    seconds:        length of an item
    snr:            range of the speech-to-noise ratio over the item, dB, uniform
    gentle, gentle_snr: probability and range of nearly clean speech, which must come out unharmed
    silent:         probability of noise with no speech at all
    coloured, babble: probabilities of those kinds of noise; the rest is recorded
    voices:         fewest and most speakers in a babble
    second:         probability that a recorded noise is the sum of two
    equaliser, room, band_limit: probabilities of a random tone of the speech, of a room (the
                    target keeps its first 50 ms), and of a low-pass over the whole recording
    level:          range around the nominal level, dB either way
    weights:        of a speaker of a group (a folder, or a manifest's set); 1 where not given
    """

    seconds: float = 2.0
    snr: tuple[float, float] = (-5.0, 15.0)
    gentle: float = 0.05
    gentle_snr: tuple[float, float] = (20.0, 40.0)
    silent: float = 0.01
    coloured: float = 0.2
    babble: float = 0.3
    voices: tuple[int, int] = (3, 8)
    second: float = 0.3
    equaliser: float = 0.3
    room: float = 0.1
    band_limit: float = 0.05
    level: float = 6.0
    weights: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")
        if self.coloured < 0 or self.babble < 0 or self.coloured + self.babble > 1:
            raise ValueError(
                "coloured and babble must be >= 0 and sum to at most 1, "
                f"got {self.coloured} and {self.babble}"
            )


class Mixer:
    """Item i: `clean` and `noisy` (T,) at 16 kHz, the noisy one near -26 dBFS (`level`).

    Raises ValueError if the corpus has no speech in the split. Without recorded noise, coloured
    noise takes its place.
    """

    def __init__(
        self, corpus: Corpus, mixing: Mixing, seed: int = 0, split: Split = "train"
    ) -> None:
        self.corpus, self.mixing, self.seed = corpus, mixing, seed
        self.length = round(mixing.seconds * CORE_RATE)
        speakers: dict[str, list[Clip]] = {}
        for clip in corpus.select("speech", split):
            speakers.setdefault(clip.speaker, []).append(clip)
        if not speakers:
            raise ValueError(f"the corpus has no speech for split {split!r}")
        self._speakers = [tuple(clips) for clips in speakers.values()]
        weights = np.array([mixing.weights.get(clips[0].group, 1.0) for clips in self._speakers])
        self._chances = np.cumsum(weights / weights.sum())
        self._noises = [c for c in corpus.select("noise", split) if c.length > CORE_RATE // 10]
        lengths = np.array([c.length for c in self._noises], np.float64)
        self._noise_chances = np.cumsum(lengths / lengths.sum()) if len(lengths) else lengths

    @property
    def has_noise(self) -> bool:
        """Whether there is recorded noise."""
        return bool(self._noises)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = default_rng((self.seed, index))
        mixing = self.mixing
        speech = self.speech(rng)
        noise = self.noise(rng)
        snr = rng.uniform(*(mixing.gentle_snr if rng.random() < mixing.gentle else mixing.snr))
        if rng.random() < mixing.equaliser:
            speech = _filtered(speech, _tone(rng, self.length, 6.0))
        target = speech
        if rng.random() < mixing.room:
            target, speech = _room(rng, speech)
        if rng.random() < mixing.silent:
            target, speech = np.zeros_like(target), np.zeros_like(speech)
        noisy = speech + scale_to_snr(speech, noise, snr)
        if rng.random() < mixing.band_limit:
            low_pass = _low_pass(self.length, rng.uniform(3000.0, 7000.0))
            target, noisy = _filtered(target, low_pass), _filtered(noisy, low_pass)
        pair = torch.from_numpy(np.stack((target, noisy)))
        gain = normalise(pair[1:])[1][0, 0] * 10 ** (rng.uniform(-mixing.level, mixing.level) / 20)
        return {"clean": pair[0] * gain, "noisy": pair[1] * gain}

    def speech(self, rng: Generator) -> Wave:
        """Speech of one speaker, (T,)."""
        clips = self._speakers[_pick(rng, self._chances)]
        wave = np.zeros(self.length, np.float32)
        for _attempt in range(4):  # a piece may fall into a pause
            self._fill(rng, clips, wave)
            if _power(wave) > 1e-6:
                break
        return wave

    def _fill(self, rng: Generator, clips: tuple[Clip, ...], wave: Wave) -> None:
        """Utterances one after the other; the first is entered at a random place."""
        wave[:] = 0
        lengths = np.cumsum([c.length for c in clips], dtype=np.float64)
        position = 0
        while position < self.length:
            clip = clips[_pick(rng, lengths / lengths[-1])]
            start = int(rng.integers(max(1, clip.length - self.length))) if position == 0 else 0
            piece = self.corpus.read(clip, start, self.length - position)
            wave[position : position + len(piece)] = piece
            position += len(piece) + int(rng.integers(CORE_RATE // 4))

    def noise(self, rng: Generator) -> Wave:
        """Noise of a random kind, (T,), at any level."""
        kind = rng.random()
        if kind < self.mixing.babble:
            return self.babble(rng)
        if kind < self.mixing.babble + self.mixing.coloured or not self._noises:
            return _filtered(
                coloured(rng, self.length, rng.uniform(0.0, 2.0)), _tone(rng, self.length, 4.0)
            )
        wave = _unit(self.recorded(rng))
        if rng.random() < self.mixing.second:
            wave += np.float32(10 ** (rng.uniform(-12.0, 0.0) / 20)) * _unit(self.recorded(rng))
        return wave

    def babble(self, rng: Generator) -> Wave:
        """Several speakers at once, each within 4 dB of the others' level."""
        fewest, most = self.mixing.voices
        wave = np.zeros(self.length, np.float32)
        for _voice in range(int(rng.integers(fewest, most + 1))):
            wave += np.float32(10 ** (rng.uniform(-4.0, 0.0) / 20)) * _unit(self.speech(rng))
        return wave

    def recorded(self, rng: Generator) -> Wave:
        """A piece of one recording, often at another speed and with another tone."""
        clip = self._noises[_pick(rng, self._noise_chances)]
        speed = rng.uniform(0.8, 1.25) if rng.random() < 0.3 else 1.0
        wanted = int(np.ceil(self.length * speed)) + 1
        start = int(rng.integers(max(1, clip.length - wanted)))
        wave = self.corpus.read(clip, start, wanted)
        if len(wave) < wanted:  # shorter than an item: repeat it
            wave = np.resize(np.roll(wave, int(rng.integers(len(wave)))), wanted)
        if speed != 1.0:
            wave = np.interp(np.arange(self.length) * speed, np.arange(wanted), wave).astype(
                np.float32
            )
        wave = wave[: self.length]
        return _filtered(wave, _tone(rng, self.length, 6.0)) if rng.random() < 0.5 else wave


def coloured(rng: Generator, length: int, exponent: float) -> Wave:
    """Gaussian noise (length,) of power f^-exponent, flat below 40 Hz, and mean square 1.

    exponent: 0 is white, 1 pink, 2 brown
    """
    spectrum = np.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    frequency = np.fft.rfftfreq(length, 1 / CORE_RATE)
    return _unit(
        np.fft.irfft(spectrum * np.maximum(frequency, 40.0) ** (-exponent / 2), length).astype(
            np.float32
        )
    )


def scale_to_snr(speech: Wave, noise: Wave, snr: float) -> Wave:
    """The noise scaled to `snr` dB of speech power over noise power; as it is if one is silent."""
    powers = _power(speech), _power(noise)
    if min(powers) <= 0:
        return noise
    return noise * np.float32(np.sqrt(powers[0] / powers[1] / 10 ** (snr / 10)))


def _pick(rng: Generator, chances: NDArray[np.float64]) -> int:
    """An index by cumulative probability."""
    return min(int(np.searchsorted(chances, rng.random(), side="right")), len(chances) - 1)


def _power(wave: Wave) -> float:
    return float(np.mean(np.square(wave), dtype=np.float64))


def _unit(wave: Wave) -> Wave:
    power = _power(wave)
    return (wave / np.sqrt(power)).astype(np.float32) if power > 0 else wave


def _filtered(wave: Wave, response: Wave) -> Wave:
    return np.fft.irfft(np.fft.rfft(wave) * response, len(wave)).astype(np.float32)


def _tone(rng: Generator, length: int, decibels: float) -> Wave:
    """A smooth random magnitude response: +-decibels at eight points a logarithm apart."""
    frequency = np.fft.rfftfreq(length, 1 / CORE_RATE)
    points = np.geomspace(60.0, CORE_RATE / 2, 8)
    gains = np.interp(
        np.log(np.maximum(frequency, 60.0)), np.log(points), rng.uniform(-decibels, decibels, 8)
    )
    return (10 ** (gains / 20)).astype(np.float32)


def _low_pass(length: int, cutoff: float) -> Wave:
    """Eighth-order Butterworth magnitude, zero phase."""
    frequency = np.fft.rfftfreq(length, 1 / CORE_RATE)
    return (1 / np.sqrt(1 + (frequency / cutoff) ** 16)).astype(np.float32)


def _room(rng: Generator, speech: Wave) -> tuple[Wave, Wave]:
    """Speech in a room: (first 50 ms of its response, all of it).

    The response is the direct sound and exponentially decaying noise, the model of Polack, "La
    transmission de l'energie sonore dans les salles" (1988), with 0.15 to 0.7 s of reverberation.
    """
    decay = rng.uniform(0.15, 0.7)
    time = np.arange(round(decay * CORE_RATE)) / CORE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    response *= 10 ** (rng.uniform(-12.0, 0.0) / 20) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    size = len(speech) + len(response)
    spectrum = np.fft.rfft(speech, size)
    early = np.where(time < 0.05, response, 0.0)
    near, far = (
        np.fft.irfft(spectrum * np.fft.rfft(part, size), size) for part in (early, response)
    )
    return near[: len(speech)].astype(np.float32), far[: len(speech)].astype(np.float32)
