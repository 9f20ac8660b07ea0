"""The tool that makes damaged speech anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_audio.sound.names import RESTORED_TAG, sound_files, written_name
from diff_audio.weights import path_of
from diff_core.command.studio import Choices, Field, Made, Tool
from diff_core.progress import Progress

if TYPE_CHECKING:
    from diff_audio.restorer.restorer import Restorer

__all__ = ["restore_tool"]

FIELDS = (
    Field(
        "steps", "Network passes", "number", "1 to 8; 1 is dull and sure",
        low=1, high=8, usual=4, whole=True,
    ),
    Field(
        "draws", "Recordings drawn", "number",
        "1 to 32; more of them show what may be invented", low=1, high=32, usual=1, whole=True,
    ),
    Field("seed", "Seed", "number", "a whole number", usual=0, high=2**31, whole=True),
)  # fmt: skip


@dataclass(frozen=True)
class _Loaded:
    """A restorer and the file that it came from."""

    model: Restorer
    weights: Path


def restore_tool() -> Tool:
    """Return the tool, for the formats that are read here."""
    kind = sound_files()
    return Tool(
        name="restore",
        label="Restore",
        about="Make damaged speech anew: far microphones, telephones, clipping, old tapes. Words "
        "and the voice may change. The result is marked as partly synthetic.",
        action="Restore",
        load=_load,
        work=_work,
        drop="a recording",
        suffixes=kind.suffixes,
        unread=kind.unread,
        fields=FIELDS,
        is_there=path_of("restore").exists(),
    )


def _load(weights: Path | None, device: str) -> _Loaded:
    from diff_audio.restorer.restorer import Restorer

    file = weights or path_of("restore")
    return _Loaded(Restorer.from_pretrained(file, device=device), file)


def _work(loaded: _Loaded, source: Path, choices: Choices, advance: Progress) -> Made:
    from diff_audio.jobs.restore import NOTICE, restore_file
    from diff_audio.restorer.settings import Settings
    from diff_audio.tools.players import compare

    target = written_name(source.with_name(RESTORED_TAG.join(sound_files().split(source.name))))
    further: dict[str, Any] = dict(choices.further)
    settings = Settings(*(int(further[name]) for name in ("steps", "draws", "seed")))
    outcome = restore_file(
        loaded.model, source, target, settings, weights=loaded.weights, on_progress=advance
    )
    report = target.with_suffix(".html")
    compare(report, source, target, NOTICE, outcome.notes)
    return Made(target, report, {"record": target.with_name(f"{target.name}.json")})
