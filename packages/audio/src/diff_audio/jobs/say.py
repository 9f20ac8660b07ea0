"""A text spoken into a file: sentence by sentence, at one loudness, marked as synthetic in the
sound and in its tags, with a record beside it.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np

from diff_audio.jobs.times import Cues, check_suffix
from diff_audio.sound.mark import marked
from diff_audio.sound.read import BadFile, Recording
from diff_audio.sound.write import Writer, container_for
from diff_audio.text import Lexicon, Skipped, summary
from diff_audio.text.language import other_language
from diff_audio.voice.finish import Level, limited
from diff_audio.voice.outcome import Outcome
from diff_audio.voice.picture import draw
from diff_audio.voice.speaker import Manner, Piece, Speaker
from diff_audio.weights import path_of
from diff_core.files import file_job, refuse_existing, replacing, sha256, write_json
from diff_core.progress import Progress

__all__ = ["Reader", "say_into"]

NOTICE = "Synthetic speech, made by a machine: diff_audio"
_ENGLISH = ("en", "en-us", "en-gb")


@dataclass(frozen=True)
class Reader:
    """A speaker with the files that it was made of, for many texts.

    lexicon: the user's own words, and the file that they came from
    """

    speaker: Speaker
    weights: Path
    vocoder: Path
    lexicon: Lexicon | None = None
    lexicon_file: Path | None = None
    hashes: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def load(
        cls,
        weights: Path | None = None,
        vocoder: Path | None = None,
        *,
        device: str = "auto",
        lexicon: Path | None = None,
    ) -> Reader:
        """Load the shipped voice and vocoder, or others, and a lexicon.

        Raises ValueError for files that cannot be used, and OSError.
        """
        words = Lexicon.read(lexicon) if lexicon else None
        speaker = Speaker.from_pretrained(weights, vocoder, device=device)
        files = weights or path_of("voice"), vocoder or path_of("vocoder")
        hashes = {"model_sha256": sha256(files[0]), "vocoder_sha256": sha256(files[1])}
        if lexicon:
            hashes["lexicon_sha256"] = sha256(lexicon)
        return cls(speaker, *files, words, lexicon, hashes)

    def record(self, text: str, manner: Manner) -> dict[str, Any]:
        """Return all that is needed to make the same sound again, but for the text itself."""
        return {
            "notice": NOTICE,
            "synthetic": True,
            "software": f"diff_audio {version('diff-audio')}",
            "model": self.speaker.card.name,
            "training_data": list(self.speaker.card.data),
            "licences": list(self.speaker.card.licences),
            "vocoder": self.speaker.vocoder.card.name,
            **self.hashes,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            **asdict(manner),
            "speaker": manner.speaker or self.speaker.speakers[0],
        }

    @file_job
    def speak(
        self,
        output: Path,
        text: str,
        manner: Manner,
        *,
        overwrite: bool = False,
        picture: Path | None = None,
        times: Path | None = None,
        tags: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Outcome:
        """Speak a text into a file, as `say_into` does; `tags` are soundfile's: title, artist."""
        begun = time.perf_counter()
        sidecar = output.with_name(f"{output.name}.json")
        refuse_existing(output, sidecar, picture, times, overwrite=overwrite)
        if times:
            check_suffix(times)
        if not output.parent.is_dir():
            raise BadFile(f"folder {output.parent} does not exist; make it, or choose another")
        like = Recording(Path("speech.wav"), 0, 1, 0, "WAV", "PCM_16")
        format, subtype = container_for(like, output)
        record = self.record(text, manner)
        comment = (
            f"{NOTICE}. Voice {record['speaker']}, model {record['model_sha256'][:12]}, "
            f"seed {manner.seed}, text {record['text_sha256'][:12]}."
        )
        named = {**(tags or {}), "software": record["software"], "comment": comment}
        like = replace(like, rate=self.speaker.sample_rate, tags=named)
        with tempfile.TemporaryFile() as spool, replacing(output) as temporary:
            take = _Take(self, text, manner, spool, progress)
            with Writer(temporary, like, format, subtype) as writer:
                for wave in take.levelled():
                    writer.write(wave[None].astype(np.float64))
                frames, clipped = writer.frames, writer.clipped
            record |= {
                "seconds": round(frames / self.speaker.sample_rate, 3),
                "left_out": summary(take.skipped, len(take.skipped)),
            }
            write_json(sidecar, record)
            if times:
                take.cues.write(times)
        if picture is not None and take.first is not None:
            first = take.first
            title = " ".join(first.spoken.words)
            draw(first.mel, first.durations, first.symbols, self.speaker.mel, title, picture)
        warnings = self._warnings(text, manner, take.skipped, clipped)
        took = time.perf_counter() - begun
        return Outcome(str(output), record, record["seconds"], took, warnings)

    def _warnings(
        self, text: str, manner: Manner, skipped: list[Skipped], clipped: int
    ) -> tuple[str, ...]:
        found: list[str] = []
        if manner.language in _ENGLISH and (language := other_language(text)):
            found.append(
                f"the text seems to be {language}, and was read as English; "
                "engine espeak or gruut reads other languages"
            )
        if skipped:
            found.append(f"left out: {'; '.join(summary(skipped))}")
        if clipped:
            found.append(f"{clipped} samples lay beyond full scale and were cut off")
        return tuple(found)


class _Take:
    """A text that is spoken once, kept outside the memory, and read back at its loudness."""

    def __init__(
        self,
        reader: Reader,
        text: str,
        manner: Manner,
        spool: IO[bytes],
        progress: Progress | None,
    ) -> None:
        self.first: Piece | None = None
        self.skipped: list[Skipped] = []
        self.cues = Cues()
        self._rate, self._spool, self._loudness = (
            reader.speaker.sample_rate,
            spool,
            manner.loudness,
        )
        self._level = Level(self._rate)
        self._sizes: list[int] = []
        read = 0
        plain = replace(manner, loudness=None)
        for piece in reader.speaker.stream(text, plain, reader.lexicon):
            self.first = self.first or piece
            self.skipped += piece.spoken.skipped
            self.cues.add(piece)
            self._level.add(piece.wave)
            self._sizes.append(len(piece.wave))
            spool.write(piece.wave.astype(np.float32).tobytes())
            read += len(piece.spoken.text)
            if progress:
                progress(min(1.0, read / max(1, len(text))))

    def levelled(self) -> Any:
        """Yield the pieces (T,), marked as synthetic and at the loudness of the whole."""
        gain = 1.0 if self._loudness is None else self._level.gain(self._loudness)
        self._spool.seek(0)
        place = 0
        for size in self._sizes:
            wave = np.frombuffer(self._spool.read(4 * size), np.float32)
            wave = marked(wave, self._rate, "say", place)
            place += size
            if self._loudness is not None:
                wave = limited(wave * np.float32(gain), self._rate)
            yield wave


def say_into(
    output: Path,
    text: str,
    manner: Manner,
    *,
    weights: Path | None = None,
    vocoder: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    picture: Path | None = None,
    lexicon: Path | None = None,
    times: Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Speak a text into a file, with `OUTPUT.json` beside it; both are whole or absent.

    lexicon: the user's own words, see `diff_audio.text.Lexicon`
    times:   a .json, .srt or .vtt file for the times of sentences and words

    Raises ValueError (BadFile) for a text with nothing to say, an unknown speaker, a model that
    cannot be used, and a suffix that is no sound format's; FileExistsError for a file that exists,
    unless `overwrite`.
    """
    sidecar = output.with_name(f"{output.name}.json")
    refuse_existing(output, sidecar, picture, times, overwrite=overwrite)
    reader = Reader.load(weights, vocoder, device=device, lexicon=lexicon)
    return reader.speak(
        output, text, manner, overwrite=overwrite, picture=picture, times=times, progress=progress
    )
