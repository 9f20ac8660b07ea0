"""An endless supply of noisy speech: every item is a pure function of (seed, index).

Clean speech by speaker, noise that is recorded, coloured or the babble of other speakers, at a
random ratio and level (`data.mixing`). Everything is drawn from one generator seeded with
(seed, index), so that a run can stop, resume, or be spread over processes without changing what it
sees.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.data import damage
from diff_audio.data.corpus import Clip, Corpus
from diff_audio.data.damage import coloured, scale_to_snr
from diff_audio.data.layouts import Kind
from diff_audio.data.made_noise import made_noise
from diff_audio.data.mixing import Mixing
from diff_audio.data.rooms import RoomBank, reverberate
from diff_audio.sound.codec import coded
from diff_audio.sound.level import levelled
from diff_audio.sound.wave import Wave, power, unit
from diff_core.data.split import Split

__all__ = ["Item", "Mixer"]


class Mixer:
    """A source of noisy speech: item i has `clean` and `noisy` (T,), the noisy one near -26 dBFS.

    Raises ValueError if the corpus has nothing in the split of what `mixing` asks for: speech, and
    pairs. Without recorded noise, coloured noise takes its place.
    """

    def __init__(
        self, corpus: Corpus, mixing: Mixing, seed: int = 0, split: Split = "train"
    ) -> None:
        self.corpus, self.mixing, self.seed = corpus, mixing, seed
        self.rate = corpus.rate
        self.length = round(mixing.seconds * self.rate)
        self.speakers, self.chances = self._by_speaker("speech", split)
        if not self.speakers and mixing.pairs < 1:
            raise ValueError(f"the corpus has no speech for split {split!r}")
        self.noises = [c for c in corpus.select("noise", split) if c.length > self.rate // 10]
        lengths = np.array([c.length for c in self.noises], np.float64)
        self.noise_chances = np.cumsum(lengths / lengths.sum()) if len(lengths) else lengths
        self.paired, self.pair_chances = self._by_speaker("noisy", split)
        if mixing.pairs > 0 and not self.paired:
            raise ValueError(f"pairs is {mixing.pairs}, but the corpus has none for {split!r}")
        self.rooms = self._bank() if mixing.simulated > 0 else None
        for codec in mixing.codecs if mixing.codec > 0 else ():  # better now than in a worker
            coded(np.ones(self.rate // 10, np.float32), self.rate, codec, 0.5)

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
        """Return whether there is recorded noise."""
        return bool(self.noises)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.item(default_rng((self.seed, index))).made()

    def name(self, index: int) -> str:
        """Return the files that item `index` is made of."""
        item = self.item(default_rng((self.seed, index)))
        item.made()
        return " + ".join(item.files)

    def item(self, rng: Generator) -> Item:
        """Return an item that is still to be made, whose every choice comes from `rng`."""
        return Item(self, rng)


class Item:
    """An item in the making: all its choices come from `rng`, in a fixed order.

    files: the recordings that it is made of, in the order in which they were read
    """

    def __init__(self, mixer: Mixer, rng: Generator) -> None:
        self.mixer, self.rng = mixer, rng
        self.mixing, self.rate, self.length = mixer.mixing, mixer.rate, mixer.length
        self.files = dict[str, None]()

    def _read(self, clip: Clip, start: int, length: int) -> Wave:
        self.files[clip.file] = None
        return self.mixer.corpus.read(clip, start, length)

    def made(self) -> dict[str, Tensor]:
        """Return the item."""
        rng, mixing = self.rng, self.mixing
        if mixing.pairs and rng.random() < mixing.pairs:
            target, noisy = self.pair()
        else:
            target, noisy = self.mixture()
        if mixing.clip and rng.random() < mixing.clip:
            noisy = damage.clipped(noisy, rng.uniform(*mixing.clip_db))
        if mixing.narrow and rng.random() < mixing.narrow:
            curve = damage.narrow_band(rng, self.length, mixing.narrow_hz, self.rate)
            noisy = damage.filtered(noisy, curve)
        if mixing.codec and rng.random() < mixing.codec:
            codec = mixing.codecs[int(rng.integers(len(mixing.codecs)))]
            noisy = coded(noisy, self.rate, codec, rng.random())
        pair = torch.from_numpy(np.stack((target, noisy)))
        gain = levelled(pair[1:], following=mixing.follow)[1][0]
        gain = gain * 10 ** (rng.uniform(-mixing.level, mixing.level) / 20)
        return {"clean": pair[0] * gain, "noisy": pair[1] * gain}

    def mixture(self) -> tuple[Wave, Wave]:
        """Return speech as it should come out, and with noise, (T,) each, at any level."""
        rng, mixing = self.rng, self.mixing
        jump = mixing.jump > 0 and rng.random() < mixing.jump
        speech = self.two_levels() if jump else self.speech()
        noise = self.noise()
        if mixing.bed and rng.random() < mixing.bed:
            bed = made_noise(rng, "hiss", self.length, self.rate)
            noise = unit(noise)
            noise += _factor(rng, mixing.bed_db) * bed
        snr = self._ratio(mixing.gentle_snr if rng.random() < mixing.gentle else mixing.snr)
        if jump:  # else the quieter speaker would nearly always be lost in the noise
            snr += rng.uniform(0.0, mixing.jump_db[1])
        if rng.random() < mixing.equaliser:
            speech = damage.filtered(speech, damage.tone(rng, self.length, 6.0, self.rate))
        target = speech
        if self.mixer.rooms and rng.random() < mixing.simulated:
            response = self.mixer.rooms.draw(rng)
            target, speech = reverberate(speech, response.speech, self.rate, keep=mixing.early)
            if response.noises:
                place = response.noises[int(rng.integers(len(response.noises)))]
                noise = reverberate(noise, place, self.rate)[1]
        elif rng.random() < mixing.room:
            target, speech = reverberate(
                speech, damage.decaying_room(rng, self.rate), self.rate, 0, mixing.early
            )
        if rng.random() < mixing.silent:
            target, speech = np.zeros_like(target), np.zeros_like(speech)
        noisy = speech + scale_to_snr(speech, noise, snr)
        if rng.random() < mixing.band_limit:
            curve = damage.low_pass(self.length, rng.uniform(3000.0, 7000.0), self.rate)
            target, noisy = damage.filtered(target, curve), damage.filtered(noisy, curve)
        return target, noisy

    def _ratio(self, limits: tuple[float, float]) -> float:
        low, high = limits
        if self.mixing.snr_law == "uniform" or low == high:
            return self.rng.uniform(low, high)
        while not low <= (snr := self.rng.normal((low + high) / 2, (high - low) / 4)) <= high:
            continue
        return snr

    def pair(self) -> tuple[Wave, Wave]:
        """Return recorded pairs of one speaker, one after the other: (clean, noisy), (T,) each."""
        rng = self.rng
        clips = self.mixer.paired[_pick(rng, self.mixer.pair_chances)]
        made = np.zeros((2, self.length), np.float32)
        lengths = np.cumsum([c.length for c in clips], dtype=np.float64)
        position = 0
        while position < self.length:
            clip = clips[_pick(rng, lengths / lengths[-1])]
            start = int(rng.integers(max(1, clip.length - self.length))) if position == 0 else 0
            for wave, part in zip(made, (self.mixer.corpus.clips[clip.pair], clip), strict=True):
                piece = self._read(part, start, self.length - position)
                wave[position : position + len(piece)] = piece
            position += clip.length - start
        return made[0], made[1]

    def speech(self) -> Wave:
        """Return speech of one speaker, (T,)."""
        clips = self.mixer.speakers[_pick(self.rng, self.mixer.chances)]
        wave = np.zeros(self.length, np.float32)
        for _attempt in range(4):  # a piece may fall into a pause
            self._fill(clips, wave)
            if power(wave) > 1e-6:
                break
        return wave

    def two_levels(self) -> Wave:
        """Return two speakers one after the other, (T,), one much quieter; a pause between."""
        rng = self.rng
        turn = round(rng.uniform(0.2, 0.8) * self.length)
        start = turn + round(rng.uniform(0.0, 0.6) * self.rate)
        low, high = self.mixing.jump_db
        faint = _factor(rng, (-high, -low))
        before, after = (1, faint) if rng.random() < 0.6 else (faint, 1)
        wave = np.zeros(self.length, np.float32)
        wave[:turn] = 0.1 * before * unit(self.speech()[:turn])
        wave[start:] = 0.1 * after * unit(self.speech()[start:])
        return wave

    def _fill(self, clips: tuple[Clip, ...], wave: Wave) -> None:
        """Fill `wave` with utterances one after the other; the first is entered at a random
        place.
        """
        rng = self.rng
        wave[:] = 0
        lengths = np.cumsum([c.length for c in clips], dtype=np.float64)
        position = 0
        while position < self.length:
            clip = clips[_pick(rng, lengths / lengths[-1])]
            start = int(rng.integers(max(1, clip.length - self.length))) if position == 0 else 0
            piece = self._read(clip, start, self.length - position)
            wave[position : position + len(piece)] = piece
            position += len(piece) + int(rng.integers(self.rate // 4))

    def noise(self) -> Wave:
        """Return noise of a random kind, (T,), at any level."""
        rng = self.rng
        kind = rng.random()
        if kind < self.mixing.babble:
            return self.babble()
        if kind < self.mixing.babble + self.mixing.coloured or not self.mixer.noises:
            return damage.filtered(
                coloured(rng, self.length, rng.uniform(0.0, 2.0), self.rate),
                damage.tone(rng, self.length, 4.0, self.rate),
            )
        if kind < self.mixing.babble + self.mixing.coloured + self.mixing.made:
            return self.synthetic()
        wave = unit(self.recorded())
        for _further in range(self.mixing.noises - 1):
            if rng.random() < self.mixing.second:
                wave += _factor(rng, (-12.0, 0.0)) * unit(self.recorded())
        return wave

    def synthetic(self) -> Wave:
        """Return made noise (T,) of one or two kinds."""
        rng, kinds = self.rng, self.mixing.kinds
        wave = made_noise(rng, kinds[int(rng.integers(len(kinds)))], self.length, self.rate)
        if rng.random() < self.mixing.second:
            other = made_noise(rng, kinds[int(rng.integers(len(kinds)))], self.length, self.rate)
            wave += _factor(rng, (-12.0, 0.0)) * other
        return wave

    def babble(self) -> Wave:
        """Return several speakers at once, each within 4 dB of the others' level."""
        fewest, most = self.mixing.voices
        wave = np.zeros(self.length, np.float32)
        for _voice in range(int(self.rng.integers(fewest, most + 1))):
            wave += _factor(self.rng, (-4.0, 0.0)) * unit(self.speech())
        return wave

    def recorded(self) -> Wave:
        """A piece of one recording, often at another speed and with another tone."""
        rng = self.rng
        clip = self.mixer.noises[_pick(rng, self.mixer.noise_chances)]
        speed = rng.uniform(*self.mixing.speed) if rng.random() < self.mixing.varied else 1.0
        wanted = int(np.ceil(self.length * speed)) + 1
        start = int(rng.integers(max(1, clip.length - wanted)))
        wave = self._read(clip, start, wanted)
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


def _factor(rng: Generator, decibels: tuple[float, float]) -> np.float32:
    """Return a factor of amplitude from a range of dB."""
    return np.float32(10 ** (rng.uniform(*decibels) / 20))
