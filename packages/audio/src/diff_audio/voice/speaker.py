"""The trained voice as an object: text of any length in, sound out, sentence by sentence.

Each sentence is spoken on its own, so that memory is bounded and sound comes early. The pauses
between sentences are digital silence, into which the voice's own silence fades.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from diff_audio.sound.wave import Wave
from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS, Lexicon, Spoken, encode
from diff_audio.text.symbols import BEGIN, END
from diff_audio.vocoder import Settings, Vocoder
from diff_audio.voice.finish import BEFORE, BEHIND, Level, limited, quieten, shift_pitch, trimmed
from diff_audio.voice.manner import PAUSES, Manner
from diff_audio.voice.model import Voice
from diff_audio.voice.parts import Ahead, Part, cut, parts_of
from diff_audio.voice.timing import Timed, timed
from diff_audio.weights import path_of
from diff_core.device import pick_device
from diff_core.hub import Pretrained, locate
from diff_core.io import Card, CheckpointError, as_checkpoint_error, load
from diff_core.noise import Keyed

__all__ = ["Manner", "Piece", "Speaker", "cut"]


@dataclass(frozen=True)
class Piece:
    """A sentence, or a part of a long one, as it was spoken.

    spoken:    its phonemes, words, and what was left out
    symbols:   (I,) of it, begin and end counted
    mel:       (bands, N) log-mel
    durations: (I,) frames of each symbol
    wave:      (T,) full scale 1, with the pause after it
    start:     seconds from the start of the first piece to this one
    words:     its words with their times, in seconds from the start of the first piece
    """

    spoken: Spoken
    symbols: tuple[str, ...]
    mel: Tensor
    durations: Tensor
    wave: Wave
    start: float
    words: tuple[Timed, ...]


class Speaker(Pretrained):
    """A speaker of text: `wave, rate = Speaker.from_pretrained()("Hello.")`.

    voice:    a trained `Voice`, and the card that came with it
    vocoder:  of the same mel
    """

    library, task = "diff_audio", "text-to-speech"

    def __init__(
        self, voice: Voice, card: Card, vocoder: Vocoder, *, device: str = "auto"
    ) -> None:
        """Raise ValueError if the vocoder's mel is another, or the card's symbols are unknown."""
        self.mel = Mel.of(card.signal)
        vocoder.mel.check(card.signal)
        alphabet = card.signal.get("symbols")
        if alphabet != list(SYMBOLS[: voice.config["symbols"]]):  # type: ignore[misc]
            raise ValueError("the voice was trained on other symbols than diff_audio.text has")
        names = card.signal.get("speakers")
        if not isinstance(names, list) or len(names) != voice.config["speakers"]:
            raise ValueError(f"the card names the speakers {names}; the voice has another number")
        self.speakers = tuple(str(name) for name in names)
        self.device = pick_device(device)
        self.voice = voice.to(self.device).eval()
        self.card, self.vocoder = card, vocoder

    @classmethod
    def from_pretrained(
        cls,
        voice: str | os.PathLike[str] | None = None,
        vocoder: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
    ) -> Speaker:
        """The voice and the vocoder that come with the package, or checkpoints of one's own.

        Raises ValueError for a checkpoint that cannot be used, two that do not fit together, or a
        device that is not there.
        """
        path = path_of("voice") if voice is None else locate(voice)
        model, card = load(path, types={"Voice": Voice})
        if not isinstance(model, Voice):
            raise CheckpointError(f"{path}: holds a {type(model).__name__}, expected a Voice")
        spoken = Vocoder.from_pretrained(vocoder, device=device)
        with as_checkpoint_error(path):
            return cls(model, card, spoken, device=device).of_checkpoint(path)

    @property
    def sample_rate(self) -> int:
        """Return the rate in Hz."""
        return self.mel.sample_rate

    def __call__(
        self, text: str, manner: Manner | None = None, lexicon: Lexicon | None = None
    ) -> tuple[Wave, int]:
        """The sound (T,) of a text, full scale 1, and its sample rate in Hz.

        Raises ValueError as `stream` does.
        """
        manner = manner or Manner()
        plain = replace(manner, loudness=None)
        waves = [piece.wave for piece in self.stream(text, plain, lexicon)]
        if manner.loudness is not None:
            level = Level(self.sample_rate)
            for wave in waves:
                level.add(wave)
            gain = level.gain(manner.loudness)
            waves = [limited(wave * np.float32(gain), self.sample_rate) for wave in waves]
        return np.concatenate(waves), self.sample_rate

    def stream(
        self, text: str, manner: Manner | None = None, lexicon: Lexicon | None = None
    ) -> Iterator[Piece]:
        """The pieces of a text, in order, each as soon as it is spoken.

        Between them is digital silence. The loudness is that of all pieces so far, so that it
        settles within a few sentences; the whole text at once has it exactly.

        A sentence with nothing to say in it is passed over. Raises ValueError if the whole text is
        such, for an unknown speaker, and for what `diff_audio.text.phonemes` refuses.
        """
        manner = manner or Manner()
        number = self._number(manner.speaker)
        level = Level(self.sample_rate)
        done = 0
        parts = Ahead(parts_of(text, manner, lexicon))
        for index, part in enumerate(parts):
            mel, durations = self._utter(part, number, manner, index)
            wave, words = self._finish(part, mel, durations, manner)
            if manner.loudness is not None:
                level.add(wave)
                wave = limited(wave * np.float32(level.gain(manner.loudness)), self.sample_rate)
            lead = int(part.spoken.lead * self.sample_rate)
            rest = self._pause(part, manner, more=parts.more)
            wave = np.pad(wave, (lead, rest))
            begin = (done + lead) / self.sample_rate
            moved = tuple(
                Timed(one.word, round(begin + one.start, 3), round(begin + one.end, 3))
                for one in words
            )
            symbols = (BEGIN, *part.spoken, END)
            start = round(done / self.sample_rate, 3)
            yield Piece(part.spoken, symbols, mel, durations, wave, start, moved)
            done += len(wave)

    def _finish(
        self, part: Part, mel: Tensor, durations: Tensor, manner: Manner
    ) -> tuple[Wave, tuple[Timed, ...]]:
        """Return the wave of a piece, without the pause after it, and the times of its words."""
        rate, hop = self.sample_rate, self.mel.hop
        symbols = (BEGIN, *part.spoken, END)
        wave = self.sound(mel, manner.seed)
        ends = np.minimum(durations.cumsum(0).numpy() * hop, len(wave))
        gains = (0.0, *part.spoken.gains, 0.0) if part.spoken.gains else ()
        wave = quieten(wave, symbols, ends.tolist(), gains, rate)
        speed = manner.rate / _factor(manner)
        wave, cut_off = trimmed(wave, int(ends[0]), int(ends[-2]), rate, speed)
        length = len(wave)
        wave = shift_pitch(wave, _factor(manner))
        scale = (len(wave) / length if length else 1.0) / rate
        lasts = np.diff(ends, prepend=0) * scale
        words = timed(part.words, symbols, lasts.tolist(), (float(ends[0]) - cut_off) * scale)
        return wave, words

    def _pause(self, part: Part, manner: Manner, *, more: bool) -> int:
        """Return the samples of silence after a piece, less what the voice itself is silent."""
        if part.last and part.spoken.pause is not None:
            seconds = part.spoken.pause
        elif not more:
            return 0
        else:
            gap = part.spoken.gap if part.last else "clause"
            seconds = PAUSES[gap] * manner.pause / manner.rate
        own = (BEFORE + BEHIND) / manner.rate if more else 0.0
        return max(0, int((seconds - own) * self.sample_rate))

    def sound(self, mel: Tensor, seed: int = 0) -> Wave:
        """The wave ((N - 1) hop,) of a log-mel (bands, N)."""
        wave = self.vocoder(mel, Settings(seed=seed))
        return np.array(wave.cpu().numpy(), dtype=np.float32).reshape(-1)

    def _number(self, speaker: str | None) -> int:
        if speaker is None:
            return 0
        if speaker not in self.speakers:
            raise ValueError(
                f"speaker is {speaker!r}; this voice has {', '.join(map(repr, self.speakers))}"
            )
        return self.speakers.index(speaker)

    def _utter(self, part: Part, number: int, manner: Manner, index: int) -> tuple[Tensor, Tensor]:
        device = self.device
        symbols = torch.tensor([encode(part.spoken)], device=device)
        tokens = torch.tensor([symbols.shape[1]], device=device)
        rate: float | Tensor = manner.rate / _factor(manner)
        if part.spoken.rates:
            rate = rate * torch.tensor([[1.0, *part.spoken.rates, 1.0]], device=device).double()
        with torch.inference_mode():
            encoded = self.voice.encode(symbols, tokens, torch.tensor([number], device=device))
            durations = self.voice.durations(encoded, rate)
            noise = Keyed([(manner.seed * 1_000_003 + index) % 2**63])
            mel = self.voice.speak(
                encoded, durations, noise, steps=manner.steps, temperature=manner.temperature
            )
        # below the floor, where digital silence is, there is no mel
        return mel[0].clamp(min=math.log(self.mel.floor)).cpu(), durations[0].cpu()


def _factor(manner: Manner) -> float:
    """Return the ratio of frequencies of a manner's pitch."""
    return 2 ** (manner.pitch / 12)
