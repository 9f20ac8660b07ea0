"""The recipe of noisy speech: kinds of noise, ratios, levels and damage, and their chances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from diff_audio.data.made_noise import MADE, Made
from diff_audio.data.rooms import EARLY, Rooms
from diff_audio.sound.codec import CODECS, Codec

__all__ = ["Mixing"]

_PROBABILITIES = (
    *("gentle", "silent", "second", "varied", "equaliser", "room", "band_limit"),
    *("simulated", "clip", "narrow", "codec", "pairs", "bed", "jump"),
)
_RANGES = (*("snr", "gentle_snr", "clip_db", "narrow_hz", "voices", "speed", "bed_db", "jump_db"),)


@dataclass(frozen=True)
class Mixing:
    """The numbers by which a `Mixer` makes noisy speech.

    Probabilities are per item; one that is 0 draws nothing. Raises ValueError for numbers
    out of their range.

    seconds:        length of an item
    snr:            range of the speech-to-noise ratio over the item, dB
    snr_law:        "uniform" over the range, or "normal" around its middle with a quarter of its
                    width as standard deviation, redrawn outside it
    gentle, gentle_snr: probability and range of nearly clean speech, which must come out unharmed
    silent:         probability of noise with no speech at all
    coloured, babble, made: probabilities of those kinds of noise; the rest is recorded
    kinds:          kinds of made noise (`data.made_noise`), equally likely
    bed, bed_db:    probability of a hiss under any noise, and its range relative to that, dB
    voices:         fewest and most speakers in a babble
    noises, second: most recorded noises in an item, and the probability of each after the first
    varied, speed:  probability that recorded noise is played at another speed, and its range
    equaliser, room, band_limit: probabilities of a random tone of the speech, of a reverberation
                    without echoes (the target keeps its first 50 ms), and of a low-pass over the
                    whole recording
    simulated:      probability of a room with echoes, for speech and noise each from its own
                    place (the target keeps the first 50 ms of the speech): the responses that
                    the corpus holds, or `rooms`, simulated once
    early:          seconds of a room's response, from the direct sound on, that the target keeps
                    in place of the first 50 ms
    clip, clip_db:  probability that the recording is cut off, and how far below its peak, dB
    narrow, narrow_hz: probability of a narrow band, as of a telephone, which the target does not
                    share, and the range of its upper edge, Hz
    codec, codecs:  probability of a lossy codec, and which; its quality is uniform
    pairs:          probability of a recorded pair of the corpus instead of all that
    jump, jump_db:  probability of two speakers one after the other, and how far one of them is
                    below the other, dB; the ratio to the noise is then raised by up to as much
    level:          range around the nominal level, dB either way
    follow:         bring each place of an item to the nominal level (`sound.level.follow`), as the
                    network then hears recordings, instead of the item as a whole
    weights:        weight of each speaker of a group (a folder, or a manifest's set), else 1
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
    varied: float = 0.3
    speed: tuple[float, float] = (0.8, 1.25)
    equaliser: float = 0.3
    room: float = 0.1
    band_limit: float = 0.05
    level: float = 6.0
    weights: dict[str, float] = field(default_factory=dict[str, float])
    snr_law: Literal["uniform", "normal"] = "uniform"
    noises: int = 2
    simulated: float = 0.0
    rooms: Rooms = field(default_factory=Rooms)
    early: float = EARLY
    clip: float = 0.0
    clip_db: tuple[float, float] = (1.0, 15.0)
    narrow: float = 0.0
    narrow_hz: tuple[float, float] = (2800.0, 6000.0)
    codec: float = 0.0
    codecs: tuple[Codec, ...] = ("mulaw", "gsm", "mp3", "vorbis")
    pairs: float = 0.0
    made: float = 0.0
    kinds: tuple[Made, ...] = MADE
    bed: float = 0.0
    bed_db: tuple[float, float] = (-30.0, -5.0)
    jump: float = 0.0
    jump_db: tuple[float, float] = (10.0, 40.0)
    follow: bool = False

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")
        chances = (self.coloured, self.babble, self.made)
        if min(chances) < 0 or sum(chances) > 1:
            raise ValueError(
                "coloured, babble and made must be >= 0 and sum to at most 1, "
                f"got {self.coloured}, {self.babble} and {self.made}"
            )
        for name in _PROBABILITIES:
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must be a probability in [0, 1], got {value}")
        for name in _RANGES:
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} must be a range, low to high, got {low}, {high}")
        if self.voices[0] < 1 or self.noises < 1:
            raise ValueError(
                f"voices and noises must be 1 or more, got {self.voices}, {self.noises}"
            )
        if not self.early > 0:
            raise ValueError(f"early must be positive, got {self.early}")
        if self.speed[0] <= 0:
            raise ValueError(f"speed must be positive, got {self.speed}")
        if self.snr_law not in ("uniform", "normal"):
            raise ValueError(f"snr_law must be 'uniform' or 'normal', got {self.snr_law!r}")
        if not self.codecs or set(self.codecs) - set(CODECS):
            raise ValueError(f"codecs must be some of {', '.join(CODECS)}, got {self.codecs}")
        if not self.kinds or set(self.kinds) - set(MADE):
            raise ValueError(f"kinds must be some of {', '.join(MADE)}, got {self.kinds}")
