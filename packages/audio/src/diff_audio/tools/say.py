"""The tool that speaks a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_audio.weights import path_of
from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.jobs.say import Reader

__all__ = ["say_tool"]

FIELDS = (
    Field("rate", "Speed", "number", "0.25 to 4; 2 is twice as fast", low=0.25, high=4, usual=1),
    Field("pitch", "Pitch", "number", "semitones, -6 to 6", low=-6, high=6, usual=0),
    Field("pause", "Pauses", "number", "0 to 10 times the usual length", high=10, usual=1),
    Field("format", "File", "choice", "of the result", ("flac", "wav", "mp3", "ogg", "opus")),
    Field(
        "temperature", "Liveliness", "number", "0 to 2; 0 is the most even", high=2, usual=0.3
    ),
    Field(
        "loudness", "Loudness (LUFS)", "number", "-40 to -8", low=-40, high=-8, usual=-19
    ),
    Field("steps", "Network passes", "number", "1 to 64", low=1, high=64, usual=4, whole=True),
    Field("seed", "Seed", "number", "a whole number", usual=0, high=2**31, whole=True),
    Field("captions", "Times as captions", "flag", "sentences with their times, a .vtt file"),
)  # fmt: skip


def say_tool() -> Tool:
    """Return the tool."""
    return Tool(
        name="say",
        label="Speak",
        about="Speak an English text. Markdown, HTML and SSML are read. The result is marked as "
        "synthetic, in the sound and in its tags.",
        action="Speak",
        load=_load,
        work=_work,
        text="Text",
        fields=FIELDS,
        main=4,
        is_there=path_of("voice").exists() and path_of("vocoder").exists(),
    )


def _load(weights: Path | None, device: str) -> Reader:
    from diff_audio.jobs.say import Reader

    return Reader.load(weights, device=device)


def _work(reader: Reader, source: Path, choices: Choices, advance: Progress) -> Made:
    from diff_audio.jobs.say import NOTICE
    from diff_audio.tools.players import play
    from diff_audio.voice.manner import Manner

    further: dict[str, Any] = dict(choices.further)
    manner = Manner(
        rate=further["rate"], temperature=further["temperature"], steps=int(further["steps"]),
        seed=int(further["seed"]), pause=further["pause"], pitch=further["pitch"],
        loudness=further["loudness"],
    )  # fmt: skip
    target = Path(f"speech.{further['format']}")
    times = Path("speech.vtt") if further["captions"] else None
    outcome = reader.speak(
        target, source.read_text(encoding="utf-8"), manner, times=times, progress=advance
    )
    facts = {
        "Length": f"{outcome.record['seconds']:.1f} s",
        "Voice": f"{outcome.record['speaker']}, {outcome.record['model']}",
        "Seed": f"{manner.seed}",
    }
    report = Path("speech.html")
    play(report, "Speech", NOTICE, {"Speech": target}, facts=facts, notes=outcome.warnings)
    record = {"record": target.with_name(f"{target.name}.json")}
    return Made(target, report, record | ({"captions": times} if times else {}))
