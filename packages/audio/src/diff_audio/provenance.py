"""The command `python -m diff_audio.provenance FILE...`: a report on whether sound files bear the
mark of synthetic speech, in the sound itself or in their tags and sidecars.

    from diff_audio.provenance import tell
    told = tell(Path("hello.mp3"))
    told.synthetic, told.found
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_audio.sound.names import sound_files
from diff_core.command import App, Failures, options, run
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_audio.sound.mark import Found

__all__ = ["Told", "app", "main", "tell"]

COMMAND = "diff_audio.provenance"
NOTICES = ("synthetic speech", "synthetic sound")
"""The words in the tags and sidecars of what this package makes."""

MADE = {"say": "speech made of a text (say)", "restore": "a restored recording (restore)"}

app = App()


@dataclass(frozen=True)
class Told:
    """The provenance of a file.

    found:   the stretches that bear the mark in the sound, the surest first
    tag:     the tag that says that the sound is synthetic, "" without one
    sidecar: FILE.json beside it says so
    """

    path: Path
    found: tuple[Found, ...]
    tag: str
    sidecar: bool

    @property
    def synthetic(self) -> bool:
        """Return whether anything says that the sound is synthetic."""
        return bool(self.found or self.tag or self.sidecar)

    def text(self) -> str:
        """Return one line."""
        said: list[str] = []
        if self.found:
            best = self.found[0]
            low = min(one.start for one in self.found)
            high = max(one.end for one in self.found)
            said.append(
                f"the sound bears the mark of {MADE[best.kind]}, between {low:.1f} and "
                f"{high:.1f} s, a false alarm with a probability of at most {best.chance:.0e}"
            )
        if self.tag:
            said.append(f"a tag says: {self.tag}")
        if self.sidecar:
            said.append("the file .json beside it says so")
        if not said:
            return "no mark found"
        return f"synthetic: {'; '.join(said)}"

    def record(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return {
            "file": str(self.path),
            "synthetic": self.synthetic,
            "found": [asdict(one) for one in self.found],
            "tag": self.tag,
            "sidecar": self.sidecar,
        }


def tell(path: Path) -> Told:
    """Return the provenance of a sound file. Raises BadFile for one that cannot be read."""
    from diff_audio.sound.mark import find
    from diff_audio.sound.read import probe, read

    tags = [text for text in probe(path).tags.values() if _says(text)]
    samples, rate = read(path)
    return Told(path, tuple(find(samples, rate)), tags[0] if tags else "", _beside(path))


def _says(text: str) -> bool:
    return any(notice in text.lower() for notice in NOTICES)


def _beside(path: Path) -> bool:
    """Return whether the sidecar of a file says that it is synthetic."""
    sidecar = path.with_name(f"{path.name}.json")
    try:
        held = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and held.get("synthetic") is True


@app.command(
    examples={
        "hello.mp3": "Report whether the file is synthetic.",
        "folder/ --recursive --json": "Print one JSON object for each file below a folder.",
    }
)
def provenance(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Sound files, folders or patterns.")
    ],
    recursive: options.Recursive = False,
    strict: options.Strict = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Report whether recordings hold speech that diff_audio made.

    Looks for the inaudible mark in the sound, which outlives MP3, resampling, cuts and other
    sound on top, and for tags and sidecars. "No mark found" does not prove that speech is real:
    a mark is lost if the speed or the pitch is changed, and can be removed. Nothing is changed.

    Exit code: 0 all told, 1 some files could not be read, 2 wrong usage.
    """
    del version
    failures = Failures(COMMAND, debug=debug, strict=strict)
    sources = sound_files().expand(inputs, failures, recursive=recursive)
    for source in sources:
        try:
            told = tell(source.path)
        except (ValueError, OSError) as error:
            text = failures.add(str(source.path), error)
            if as_json:
                print(json.dumps({"file": str(source.path), "error": text}))
            continue
        if as_json:
            print(json.dumps(told.record()))
        else:
            print_line(f"{source.path}: {told.text()}")
    return failures.finish(len(sources))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
