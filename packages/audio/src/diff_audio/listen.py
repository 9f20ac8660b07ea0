"""The command `python -m diff_audio.listen`: blind listening tests, and their scores."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.metrics.files import pairs
from diff_core.command import App, Failures, options, run, usage
from diff_core.lines import print_line

__all__ = ["app", "main"]

COMMAND = "diff_audio.listen"

app = App(
    help="Make a blind listening test as a static page (MUSHRA), and score its answers.",
    no_args_is_help=True,
)

System = Annotated[
    list[str],
    typer.Option(
        "--system",
        metavar="NAME=PATH",
        help="A system and its folder, or file, of results; may be given repeatedly. The input is "
        "a system too: noisy=recordings/.",
    ),
]


@app.command(
    examples={
        "clean/ --system noisy=noisy/ --system ours=denoised/ -o trial": "Write trial/test for "
        "listeners and trial/key.json for yourself."
    },
    renamed={"items": "--system"},
)
def make(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="Clean recording, or folder.")],
    system: System,
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    anchor: Annotated[
        float,
        typer.Option(
            metavar="HZ", min=0, help="Cut-off of the hidden low-passed reference; 0 for none."
        ),
    ] = 3500.0,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.5, help="Longest excerpt, from the start; default: all."),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Listening test",
    question: Annotated[
        str | None, typer.Option(help="The question; default: how good is the quality.")
    ] = None,
    seed: options.Seed = 0,
    debug: options.Debug = False,
) -> int:
    """Write a folder with a page that compares systems with a hidden reference and anchor.

    Give listeners OUTPUT/test, in a zip or on any web server. The page sends nothing: each
    listener downloads a file of answers and passes it to you. OUTPUT/key.json says which sound is
    whose; keep it. All versions are brought to the loudness of their reference.

    Exit code: 0 done, 1 a recording cannot be used, 2 wrong usage.
    """
    from diff_audio.pages.listening import QUESTION, Item, write_test

    failures = Failures(COMMAND, debug=debug)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} is there and not empty; choose another folder")
    found: dict[str, dict[str, Path]] = {}
    references: dict[str, Path] = {}
    systems = _systems(system)
    for name, path in systems.items():
        with usage():
            matched = pairs(reference, path)
        for _, file, reason in matched.failed:
            failures.add(f"{name}: {file}", reason)
        for pair in matched.pairs:
            references[pair.name] = pair.reference
            found.setdefault(pair.name, {})[name] = pair.estimate
    items = [
        Item(name, references[name], found[name])
        for name in sorted(found)
        if len(found[name]) == len(systems)
    ]
    if not items and not failures.names:
        failures.add(str(reference), "no recording has a version of each system; check the names")
    if failures.names:  # a test that lacks some of its recordings is another test
        return failures.finish(len(failures.names))
    try:
        test = write_test(
            items, output, anchor=anchor or None, seconds=seconds, seed=seed, title=title,
            question=question or QUESTION,
        )  # fmt: skip
    except (ValueError, OSError, ImportError) as error:
        failures.add(str(output), error)
        return 1
    counts = f"recordings: {len(items)}, systems: {len(systems)}"
    print_line(f"{output / 'test'}: test {test}, {counts}")
    print_line(f"{output / 'key.json'}: the key; listeners must not see it")
    return 0


@app.command(
    examples={"answers/*.json --key trial/key.json": "Print the mean and interval of each system."}
)
def score(
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help="Files that listeners downloaded.")
    ],
    key: Annotated[Path, typer.Option(help="The key.json of the test.")],
    keep_all: Annotated[
        bool,
        typer.Option(
            "--keep-all", help="Count listeners, too, who did not find the hidden reference."
        ),
    ] = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Print the mean score of each system, 0 to 100, with its 95 % interval over listeners.

    A listener who scores the hidden reference under 90 in more than 15 % of the recordings is left
    out (ITU-R BS.1534-3).

    Exit code: 0 done, 1 some answers cannot be used, 2 wrong usage.
    """
    from diff_audio.metrics.listening import read_answers, score_answers

    failures = Failures(COMMAND, debug=debug)
    try:
        result = score_answers(read_answers(key, answers), keep_all=keep_all)
    except (ValueError, OSError) as error:
        failures.add(str(key), error)
        return 1
    for name in result.left_out:
        failures.warn(name, "is left out: did not find the hidden reference")
    if as_json:
        print(json.dumps(asdict(result)))
        return 0
    print_line(f"{len(result.listeners)} listeners, mean and 95 % interval, 0 to 100")
    width = max(map(len, result.means))
    for name, mean in result.means.items():
        print_line(f"{name:<{width}}  {mean.mean:6.1f}  {mean.low:6.1f} to {mean.high:6.1f}")
    for one, other, gap in result.differences:
        print_line(f"{one} - {other}: {gap.mean:+.1f}, {gap.low:+.1f} to {gap.high:+.1f}")
    return 0


def _systems(given: list[str]) -> dict[str, Path]:
    """Read NAME=PATH; wrong usage where a name is missing or given twice."""
    found: dict[str, Path] = {}
    for text in given:
        name, mark, path = text.partition("=")
        if not (name and mark and path):
            raise typer.BadParameter(f"--system is {text!r}; expected NAME=PATH")
        if name in found:
            raise typer.BadParameter(f"--system {name} is given twice")
        found[name] = Path(path)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
