"""The settings of the level at which a recording is delivered, and the record of what was done."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CEILING_DB", "Delivered", "Delivery"]

CEILING_DB = -1.0
"""The true peak that is allowed where a level is set, dB of full scale."""


@dataclass(frozen=True)
class Delivery:
    """The level at which a recording is delivered.

    loudness:       integrated loudness by ITU-R BS.1770, LUFS, over -70 and up to 0; None leaves
                    it as it is
    peak:           highest true peak, dB of full scale, -40 to 0; None stands for -1 dB where a
                    level is set, and for no limit elsewhere
    level_speakers: raise each channel to the loudness of the loudest
    """

    loudness: float | None = None
    peak: float | None = None
    level_speakers: bool = False

    def __post_init__(self) -> None:
        if self.loudness is not None and not -70.0 < self.loudness <= 0.0:
            raise ValueError(
                f"loudness is {self.loudness:g}; expected LUFS over -70 and up to 0, such as -16"
            )
        if self.peak is not None and not -40.0 <= self.peak <= 0.0:
            raise ValueError(f"peak is {self.peak:g}; expected dB of full scale, -40 to 0")

    @property
    def changes(self) -> bool:
        """Return whether anything is to be done."""
        return self.measures or self.peak is not None

    @property
    def measures(self) -> bool:
        """Return whether the loudness is needed."""
        return self.loudness is not None or self.level_speakers

    @property
    def ceiling(self) -> float:
        """Return the highest true peak as a magnitude, full scale 1."""
        return 10.0 ** ((CEILING_DB if self.peak is None else self.peak) / 20.0)


@dataclass(frozen=True)
class Delivered:
    """The record of a delivered recording.

    loudness:   integrated loudness of the result, LUFS; None where it was not measured or is not
                defined
    gains_db:   gain of each channel before the limiter, dB
    limited_db: the most that the limiter took away at any place, dB
    notes:      what a user should know
    """

    loudness: float | None
    gains_db: tuple[float, ...]
    limited_db: float
    notes: tuple[str, ...] = ()
