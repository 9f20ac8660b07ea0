"""The manner of speaking: speed, pitch, pauses, loudness, and the maker of phonemes."""

from __future__ import annotations

from dataclasses import dataclass

from diff_audio.text.spoken import Gap

__all__ = ["LOUDNESS", "PAUSES", "PEAK_DB", "Manner"]

LOUDNESS = -19.0
"""The loudness of spoken word in one channel, LUFS."""

PEAK_DB = -1.0
"""The highest true peak, dB of full scale."""

PAUSES: dict[Gap, float] = {"clause": 0.12, "sentence": 0.4, "paragraph": 0.8, "heading": 1.0}
"""Seconds of silence after what is spoken at once, at the usual speed."""


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
    pause:       length of the pauses relative to the usual one, 0 to 10
    pitch:       semitones up or down, -6 to 6; the whole voice is shifted, as if its speaker were
                 smaller or larger
    loudness:    integrated loudness, LUFS, -40 to -8, with a true peak of at most -1 dBTP; None
                 leaves the voice as it is

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
    pause: float = 1.0
    pitch: float = 0.0
    loudness: float | None = LOUDNESS

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate", 0.25, 4),
            ("temperature", 0, 2),
            ("steps", 1, 64),
            ("seed", 0, 2**63 - 1),
            ("pause", 0, 10),
            ("pitch", -6, 6),
            ("loudness", -40, -8),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} is {value}; expected {low} to {high}")
