"""Noisy speech without end: every item is a pure function of (seed, index).

Clean speech by speaker, noise that is recorded, coloured or the babble of other speakers, at a
random ratio and level. Everything is drawn from one generator seeded with (seed, index), so that a
run can stop, resume, or be spread over processes without changing what it sees.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from diff_audio import damage
from diff_audio.corpus import Clip, Corpus, Kind, Split
from diff_audio.damage import CODECS, Codec, Wave, coloured, power, scale_to_snr, unit
from diff_audio.level import normalise
from diff_audio.rooms import RoomBank, Rooms, reverberate

__all__ = ["Mixer", "Mixing", "coloured", "scale_to_snr"]


@dataclass(frozen=True)
class Mixing:
    """How noisy speech is made. Probabilities are per item; those that are 0 here draw nothing.

    seconds:        length of an item
    snr:            range of the speech-to-noise ratio over the item, dB
    snr_law:        "uniform" over the range, or "normal" around its middle with a quarter of its
                    width as standard deviation, redrawn outside it
    gentle, gentle_snr: probability and range of nearly clean speech, which must come out unharmed
    silent:         probability of noise with no speech at all
    coloured, babble: probabilities of those kinds of noise; the rest is recorded
    voices:         fewest and most speakers in a babble
    noises, second: most recorded noises in an item, and the probability of each after the first
    equaliser, room, band_limit: probabilities of a random tone of the speech, of a reverberation
                    without echoes (the target keeps its first 50 ms), and of a low-pass over the
                    whole recording
    simulated:      probability of a room with echoes, for speech and noise each from its own
                    place (the target keeps the first 50 ms of the speech): the responses that
                    the corpus holds, or `rooms`, simulated once
    clip, clip_db:  probability that the recording is cut off, and how far below its peak, dB
    codec, codecs:  probability of a lossy codec, and which; its quality is uniform
    pairs:          probability of a recorded pair of the corpus instead of all that
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
    snr_law: Literal["uniform", "normal"] = "uniform"
    noises: int = 2
    simulated: float = 0.0
    rooms: Rooms = field(default_factory=Rooms)
    clip: float = 0.0
    clip_db: tuple[float, float] = (1.0, 15.0)
    codec: float = 0.0
    codecs: tuple[Codec, ...] = ("mulaw", "gsm", "mp3", "vorbis")
    pairs: float = 0.0

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")
        if self.coloured < 0 or self.babble < 0 or self.coloured + self.babble > 1:
            raise ValueError(
                "coloured and babble must be >= 0 and sum to at most 1, "
                f"got {self.coloured} and {self.babble}"
            )
        for (
            name
        ) in "gentle silent second equaliser room band_limit simulated clip codec pairs".split():
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must be a probability in [0, 1], got {value}")
        for name in ("snr", "gentle_snr", "clip_db", "voices"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} must be a range, low to high, got {low}, {high}")
        if self.voices[0] < 1 or self.noises < 1:
            raise ValueError(
                f"voices and noises must be 1 or more, got {self.voices}, {self.noises}"
            )
        if self.snr_law not in ("uniform", "normal"):
            raise ValueError(f"snr_law must be 'uniform' or 'normal', got {self.snr_law!r}")
        if not self.codecs or set(self.codecs) - set(CODECS):
            raise ValueError(f"codecs must be some of {', '.join(CODECS)}, got {self.codecs}")


class Mixer:
    """Item i: `clean` and `noisy` (T,) at the corpus' rate, the noisy one near -26 dBFS (`level`).

    Raises ValueError if the corpus has nothing in the split of what `mixing` asks for: speech, and
    pairs. Without recorded noise, coloured noise takes its place.
    """

    def __init__(
        self, corpus: Corpus, mixing: Mixing, seed: int = 0, split: Split = "train"
    ) -> None:
        self.corpus, self.mixing, self.seed = corpus, mixing, seed
        self.rate = corpus.rate
        self.length = round(mixing.seconds * self.rate)
        self._speakers, self._chances = self._by_speaker("speech", split)
        if not self._speakers and mixing.pairs < 1:
            raise ValueError(f"the corpus has no speech for split {split!r}")
        self._noises = [c for c in corpus.select("noise", split) if c.length > self.rate // 10]
        lengths = np.array([c.length for c in self._noises], np.float64)
        self._noise_chances = np.cumsum(lengths / lengths.sum()) if len(lengths) else lengths
        self._paired, self._pair_chances = self._by_speaker("noisy", split)
        if mixing.pairs > 0 and not self._paired:
            raise ValueError(f"pairs is {mixing.pairs}, but the corpus has none for {split!r}")
        self._rooms = self._bank() if mixing.simulated > 0 else None
        for codec in mixing.codecs if mixing.codec > 0 else ():  # better now than in a worker
            damage.coded(np.ones(self.rate // 10, np.float32), self.rate, codec, 0.5)

    def _by_speaker(
        self, kind: Kind, split: Split
    ) -> tuple[list[tuple[Clip, ...]], NDArray[np.float64]]:
        speakers: dict[str, list[Clip]] = {}
        for clip in self.corpus.select(kind, split):
            speakers.setdefault(clip.speaker, []).append(clip)
        found = [tuple(clips) for clips in speakers.values()]
        weights = np.array([self.mixing.weights.get(clips[0].group, 1.0) for clips in found])
        return found, np.cumsum(weights / weights.sum()) if found else weights

    def _bank(self) -> RoomBank:
        recorded = self.corpus.select("room", "train")
        if recorded:
            return RoomBank.recorded([self.corpus.read(clip) for clip in recorded], self.rate)
        return RoomBank.simulate(self.mixing.rooms, self.rate, self.corpus.folder)

    @property
    def has_noise(self) -> bool:
        """Whether there is recorded noise."""
        return bool(self._noises)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = default_rng((self.seed, index))
        mixing = self.mixing
        if mixing.pairs and rng.random() < mixing.pairs:
            target, noisy = self.pair(rng)
        else:
            target, noisy = self.mixture(rng)
        if mixing.clip and rng.random() < mixing.clip:
            noisy = damage.clipped(noisy, rng.uniform(*mixing.clip_db))
        if mixing.codec and rng.random() < mixing.codec:
            codec = mixing.codecs[int(rng.integers(len(mixing.codecs)))]
            noisy = damage.coded(noisy, self.rate, codec, rng.random())
        pair = torch.from_numpy(np.stack((target, noisy)))
        gain = normalise(pair[1:])[1][0, 0] * 10 ** (rng.uniform(-mixing.level, mixing.level) / 20)
        return {"clean": pair[0] * gain, "noisy": pair[1] * gain}

    def name(self, index: int) -> str:
        """The files that item `index` is made of."""
        again, files = copy(self), dict[str, None]()
        again.corpus = self.corpus.noting(files)
        again[index]
        return " + ".join(files)

    def mixture(self, rng: Generator) -> tuple[Wave, Wave]:
        """Speech as it should come out, and with noise, (T,) each, at any level."""
        mixing = self.mixing
        speech = self.speech(rng)
        noise = self.noise(rng)
        snr = self._ratio(rng, mixing.gentle_snr if rng.random() < mixing.gentle else mixing.snr)
        if rng.random() < mixing.equaliser:
            speech = damage.filtered(speech, damage.tone(rng, self.length, 6.0, self.rate))
        target = speech
        if self._rooms and rng.random() < mixing.simulated:
            response = self._rooms.draw(rng)
            target, speech = reverberate(speech, response.speech, self.rate)
            if response.noises:
                place = response.noises[int(rng.integers(len(response.noises)))]
                noise = reverberate(noise, place, self.rate)[1]
        elif rng.random() < mixing.room:
            target, speech = reverberate(
                speech, damage.decaying_room(rng, self.rate), self.rate, lead=0
            )
        if rng.random() < mixing.silent:
            target, speech = np.zeros_like(target), np.zeros_like(speech)
        noisy = speech + scale_to_snr(speech, noise, snr)
        if rng.random() < mixing.band_limit:
            curve = damage.low_pass(self.length, rng.uniform(3000.0, 7000.0), self.rate)
            target, noisy = damage.filtered(target, curve), damage.filtered(noisy, curve)
        return target, noisy

    def _ratio(self, rng: Generator, limits: tuple[float, float]) -> float:
        low, high = limits
        if self.mixing.snr_law == "uniform" or low == high:
            return rng.uniform(low, high)
        while not low <= (snr := rng.normal((low + high) / 2, (high - low) / 4)) <= high:
            continue
        return snr

    def pair(self, rng: Generator) -> tuple[Wave, Wave]:
        """Recorded pairs of one speaker, one after the other: (clean, noisy), (T,) each."""
        clips = self._paired[_pick(rng, self._pair_chances)]
        made = np.zeros((2, self.length), np.float32)
        lengths = np.cumsum([c.length for c in clips], dtype=np.float64)
        position = 0
        while position < self.length:
            clip = clips[_pick(rng, lengths / lengths[-1])]
            start = int(rng.integers(max(1, clip.length - self.length))) if position == 0 else 0
            for wave, part in zip(made, (self.corpus.clips[clip.pair], clip), strict=True):
                piece = self.corpus.read(part, start, self.length - position)
                wave[position : position + len(piece)] = piece
            position += clip.length - start
        return made[0], made[1]

    def speech(self, rng: Generator) -> Wave:
        """Speech of one speaker, (T,)."""
        clips = self._speakers[_pick(rng, self._chances)]
        wave = np.zeros(self.length, np.float32)
        for _attempt in range(4):  # a piece may fall into a pause
            self._fill(rng, clips, wave)
            if power(wave) > 1e-6:
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
            position += len(piece) + int(rng.integers(self.rate // 4))

    def noise(self, rng: Generator) -> Wave:
        """Noise of a random kind, (T,), at any level."""
        kind = rng.random()
        if kind < self.mixing.babble:
            return self.babble(rng)
        if kind < self.mixing.babble + self.mixing.coloured or not self._noises:
            return damage.filtered(
                coloured(rng, self.length, rng.uniform(0.0, 2.0), self.rate),
                damage.tone(rng, self.length, 4.0, self.rate),
            )
        wave = unit(self.recorded(rng))
        for _further in range(self.mixing.noises - 1):
            if rng.random() < self.mixing.second:
                wave += np.float32(10 ** (rng.uniform(-12.0, 0.0) / 20)) * unit(self.recorded(rng))
        return wave

    def babble(self, rng: Generator) -> Wave:
        """Several speakers at once, each within 4 dB of the others' level."""
        fewest, most = self.mixing.voices
        wave = np.zeros(self.length, np.float32)
        for _voice in range(int(rng.integers(fewest, most + 1))):
            wave += np.float32(10 ** (rng.uniform(-4.0, 0.0) / 20)) * unit(self.speech(rng))
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
        return (
            damage.filtered(wave, damage.tone(rng, self.length, 6.0, self.rate))
            if rng.random() < 0.5
            else wave
        )


def _pick(rng: Generator, chances: NDArray[np.float64]) -> int:
    """An index by cumulative probability."""
    return min(int(np.searchsorted(chances, rng.random(), side="right")), len(chances) - 1)
