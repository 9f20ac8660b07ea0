"""The tool that removes noise from recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_audio.sound.names import TAG, sound_files, written_name
from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.denoiser.denoiser import Denoiser

__all__ = ["denoise_tool"]

FIELDS = (
    Field("limit", "Remove at most (dB)", "number", "a number of dB; empty: no limit"),
    Field(
        "room",
        "Keep of a room",
        "number",
        "share of the input that stays where a room echoes, 0 to 1",
        high=1,
        usual=0.4,
    ),
    Field("separate", "Each channel by itself", "flag", "for microphones far apart"),
    Field("keep_noise", "Keep the removed part", "flag", "input = result + removed part"),
    Field(
        "loudness",
        "Loudness (LUFS)",
        "number",
        "-16 for podcasts, -23 for broadcasts, -70 to 0; empty: as it was",
        low=-69.9,
        high=0,
    ),
    Field(
        "level_speakers",
        "Level the speakers",
        "flag",
        "each channel as loud as the loudest, for one microphone a speaker",
    ),
)


def denoise_tool() -> Tool:
    """Return the tool, for the formats that are read here."""
    kind = sound_files()
    return Tool(
        name="denoise",
        label="Denoise",
        about="Remove noise from a recording. Speech stays.",
        action="Remove noise",
        load=_load,
        work=_work,
        drop="a recording",
        suffixes=kind.suffixes,
        unread=kind.unread,
        qualities={
            "draft": "Half precision where the processor is fast at it.",
            "default": "One look at the recording.",
            "best": "The mean of four looks: four times the work.",
        },
        amount="Share of the result; the rest is the input",
        fields=FIELDS,
    )


def _load(weights: Path | None, device: str) -> Denoiser:
    from diff_audio.denoiser.denoiser import Denoiser

    return Denoiser.from_pretrained(weights, device=device)


def _work(model: Denoiser, source: Path, choices: Choices, advance: Progress) -> Made:
    from diff_audio.denoiser.confidence import Tracks
    from diff_audio.denoiser.settings import Settings
    from diff_audio.jobs.denoise import denoise_file
    from diff_audio.sound.delivery import Delivery

    target = written_name(source.with_name(TAG.join(sound_files().split(source.name))))
    further: dict[str, Any] = dict(choices.further)
    delivery = Delivery(further["loudness"], None, further["level_speakers"])
    settings = Settings.of(
        choices.quality, mix=choices.amount, limit_db=further["limit"], room=further["room"],
        linked=not (further["separate"] or further["level_speakers"]),
    )  # fmt: skip
    tracks = Tracks()
    outcome = denoise_file(
        model, source, target, settings, delivery=delivery, keep_noise=further["keep_noise"],
        on_part=tracks.add, on_progress=advance,
    )  # fmt: skip
    report = target.with_suffix(".html")
    if delivery.changes:  # a report compares before and after at one level
        from diff_audio.tools.players import compare

        notes = [*outcome.notes, *(outcome.delivered.notes if outcome.delivered else ())]
        compare(report, source, target, "Noise removed, at a level of its own", notes)
        return Made(target, report)
    from diff_audio.pages.report import write_report

    write_report(report, outcome, tracks, settings)
    return Made(target, report, {"removed": Path(outcome.noise)} if outcome.noise else {})
