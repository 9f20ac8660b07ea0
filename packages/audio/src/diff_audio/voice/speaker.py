"""The trained voice as an object: text of any length in, sound out, sentence by sentence.

Each sentence is spoken on its own, so that memory is bounded and sound comes early. Pauses between
sentences are made by the voice itself: the symbols of begin and end, which stand for the silence
around a recording, are held longer, and sentences are joined where both are in it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from diff_audio.sound.wave import Wave
from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS, Spoken, encode, utterances
from diff_audio.text.symbols import BEGIN, END, SPACE
from diff_audio.vocoder import Settings, Vocoder
from diff_audio.voice.model import Voice
from diff_audio.weights import path_of
from diff_core.device import pick_device
from diff_core.io import Card, CheckpointError, as_checkpoint_error, load
from diff_core.noise import Keyed

__all__ = ["Manner", "Piece", "Speaker", "cut"]

MOST_SYMBOLS = 240  # that are spoken at once: about 16 s
_PAUSE = 0.35  # seconds of silence between sentences
_JOIN = 0.01  # seconds in which one sentence fades into the next
_BREAKS = ",.!?;:-"


@dataclass(frozen=True)
class Manner:
    """The manner of speaking.

    rate:        speed relative to the training voice's, 0.25 to 4
    temperature: scale of the noise that the flow starts from, 0 to 2; less is more even
    steps:       steps of the flow, 1 to 64
    seed:        the seed of the noise
    speaker:     a name out of `Speaker.speakers`; None is the first
    engine, language: the maker of phonemes, see `diff_audio.text.phonemes`
    strict:      refuse what cannot be spoken, instead of leaving it out

    Raises ValueError for a number out of range.
    """

    rate: float = 1.0
    temperature: float = 0.3
    steps: int = 4
    seed: int = 0
    speaker: str | None = None
    engine: str = "cmu"
    language: str = "en-us"
    strict: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate", 0.25, 4),
            ("temperature", 0, 2),
            ("steps", 1, 64),
            ("seed", 0, 2**63 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {low} to {high}")


@dataclass(frozen=True)
class Piece:
    """A sentence, or a part of a long one, as it was spoken.

    spoken:    its phonemes, words, and what was left out
    symbols:   (I,) of it, begin and end counted
    mel:       (bands, N) log-mel
    durations: (I,) frames of each symbol
    wave:      (T,) full scale 1; what the next piece fades into is left for that
    """

    spoken: Spoken
    symbols: tuple[str, ...]
    mel: Tensor
    durations: Tensor
    wave: Wave


class Speaker:
    """A speaker of text: `wave, rate = Speaker.from_pretrained()("Hello.")`.

    voice:    a trained `Voice`, and the card that came with it
    vocoder:  of the same mel
    """

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
        path = path_of("voice") if voice is None else voice
        model, card = load(path, types={"Voice": Voice})
        if not isinstance(model, Voice):
            raise CheckpointError(f"{path}: holds a {type(model).__name__}, expected a Voice")
        spoken = Vocoder.from_pretrained(vocoder, device=device)
        with as_checkpoint_error(path):
            return cls(model, card, spoken, device=device)

    @property
    def sample_rate(self) -> int:
        """Return the rate in Hz."""
        return self.mel.sample_rate

    def __call__(self, text: str, manner: Manner | None = None) -> tuple[Wave, int]:
        """The sound (T,) of a text, full scale 1, and its sample rate in Hz.

        Raises ValueError as `stream` does.
        """
        waves = [piece.wave for piece in self.stream(text, manner)]
        return np.concatenate(waves), self.sample_rate

    def stream(self, text: str, manner: Manner | None = None) -> Iterator[Piece]:
        """The pieces of a text, in order, each as soon as it is spoken.

        A sentence with nothing to say in it is passed over. Raises ValueError if the whole text is
        such, for an unknown speaker, and for what `diff_audio.text.phonemes` refuses.
        """
        manner = manner or Manner()
        number = self._number(manner.speaker)
        join = int(_JOIN * self.sample_rate)
        held: Wave | None = None
        parts = _Ahead(self._parts(text, manner))
        for index, part in enumerate(parts):
            mel, durations = self._utter(part, number, manner, index)
            wave = self.sound(mel, manner.seed)
            if held is not None:
                fade = np.linspace(0, 1, len(held), dtype=np.float32)
                wave[: len(held)] = held * (1 - fade) + wave[: len(held)] * fade
            held = None
            if parts.more:
                held, wave = wave[-join:].copy(), wave[:-join]
            symbols = (BEGIN, *part.spoken, END)
            yield Piece(part.spoken, symbols, mel, durations, wave)

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

    def _parts(self, text: str, manner: Manner) -> Iterator[_Part]:
        said = utterances(
            text, strict=manner.strict, engine=manner.engine, language=manner.language
        )
        for number, spoken in enumerate(said):
            pieces = cut(spoken.phonemes)
            for n, piece in enumerate(pieces):
                first, last = n == 0, n == len(pieces) - 1
                # words, and what was left out, are given with a sentence's first piece
                told = replace(spoken, phonemes=piece) if first else Spoken(piece, ())
                yield _Part(told, first and number > 0, last)

    def _utter(
        self, part: _Part, number: int, manner: Manner, index: int
    ) -> tuple[Tensor, Tensor]:
        device = self.device
        symbols = torch.tensor([encode(part.spoken)], device=device)
        tokens = torch.tensor([symbols.shape[1]], device=device)
        with torch.inference_mode():
            encoded = self.voice.encode(symbols, tokens, torch.tensor([number], device=device))
            durations = self.voice.durations(encoded, manner.rate)
            pause = int(_PAUSE / 2 * self.sample_rate / self.mel.hop / manner.rate)
            if part.opens:
                durations[:, 0] = durations[:, 0].clamp(min=pause)
            if part.closes:
                durations[:, -1] = durations[:, -1].clamp(min=pause)
            noise = Keyed([(manner.seed * 1_000_003 + index) % 2**63])
            mel = self.voice.speak(
                encoded, durations, noise, steps=manner.steps, temperature=manner.temperature
            )
        # below the floor, where digital silence is, there is no mel
        return mel[0].clamp(min=math.log(self.mel.floor)).cpu(), durations[0].cpu()


@dataclass(frozen=True)
class _Part:
    """A run of phonemes that are spoken at once; whether a pause comes before and after them."""

    spoken: Spoken
    opens: bool
    closes: bool


class _Ahead:
    """An iterator that knows, while an item is looked at, whether there is `more`."""

    def __init__(self, parts: Iterator[_Part]) -> None:
        self._parts, self.more = parts, True

    def __iter__(self) -> Iterator[_Part]:
        current = next(self._parts, None)
        while current is not None:
            following = next(self._parts, None)
            self.more = following is not None
            yield current
            current = following


def cut(symbols: Sequence[str], most: int = MOST_SYMBOLS) -> list[tuple[str, ...]]:
    """Return phonemes in pieces of at most `most`, cut after punctuation if there is any in the
    later half, else between words, else where it must be.
    """
    rest, pieces = tuple(symbols), list[tuple[str, ...]]()
    while len(rest) > most:
        later = range(most - 1, most // 2, -1)
        at = next((n + 1 for n in later if rest[n] in _BREAKS), 0)
        at = at or next((n for n in later if rest[n] == SPACE), 0) or most
        pieces.append(rest[:at])
        rest = rest[at:]
        while rest and rest[0] == SPACE:
            rest = rest[1:]
    return [*pieces, rest] if rest or not pieces else pieces
