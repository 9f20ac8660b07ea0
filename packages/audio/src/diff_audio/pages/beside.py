"""The files about one denoised recording that go beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diff_audio.denoiser.confidence import Tracks
    from diff_audio.denoiser.outcome import Outcome
    from diff_audio.denoiser.settings import Settings

__all__ = ["Beside"]


@dataclass(frozen=True)
class Beside:
    """The files to write about one recording, each None for none.

    picture:    waveforms and spectrograms before and after
    report:     a page to hear and see
    confidence: JSON, how far each second may be trusted
    reference:  the clean recording, for the scores in `report`

    Raises ValueError for a reference without a report.
    """

    picture: Path | None = None
    report: Path | None = None
    confidence: Path | None = None
    reference: Path | None = None

    def __post_init__(self) -> None:
        if self.reference is not None and self.report is None:
            raise ValueError("reference is for the scores in `report`; name that too")

    @property
    def files(self) -> dict[str, Path | None]:
        """The files to write, by argument."""
        return {"picture": self.picture, "report": self.report, "confidence": self.confidence}

    def check(self, recordings: int) -> None:
        """Raise ValueError for files about several recordings, or a reference that is no sound."""
        alone = {"picture": self.picture, "confidence": self.confidence}
        for name, path in {**alone, "reference": self.reference}.items():
            if path is not None and recordings > 1:
                raise ValueError(f"{name} is of one recording, but several are given")
        if self.reference is not None:
            from diff_audio.sound.read import BadFile, probe

            try:
                probe(self.reference)
            except BadFile as error:
                raise ValueError(f"reference is {self.reference}: {error}") from error

    def prepare(self) -> Tracks | None:
        """Make the folders, and return a collector of facts if the files need one."""
        from diff_audio.denoiser.confidence import Tracks

        for path in self.files.values():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
        return Tracks() if self.report or self.confidence else None

    def write(
        self,
        outcome: Outcome,
        tracks: Tracks | None,
        settings: Settings,
        thumbnail: Path | None = None,
    ) -> None:
        """Write the files about a denoised recording.

        tracks:    the collector of `prepare`, filled while the recording was denoised
        thumbnail: a file for the small picture of `report`
        """
        if self.picture is not None:
            from diff_audio.pages.before_after import draw

            draw(Path(outcome.input), Path(outcome.output), self.picture)
        if self.confidence is not None and tracks is not None:
            from diff_audio.denoiser.confidence import seconds, write

            found, samples = seconds(tracks), settings.samples
            write(self.confidence, found, input=outcome.input, samples=samples)
        if self.report is not None and tracks is not None:
            from diff_audio.pages.report import write_report

            write_report(self.report, outcome, tracks, settings, self.reference, thumbnail)
