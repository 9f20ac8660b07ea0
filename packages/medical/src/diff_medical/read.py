"""`python -m diff_medical.read REAL SYNTHETIC -o trial/`: blind tests of readers, and scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diff_core.command import App, Failures, options, run
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_core.evaluate import Interval

__all__ = ["app", "main"]

COMMAND = "diff_medical.read"

app = App(no_args_is_help=True)


@app.command(
    examples={
        "real/ synthetic/ -o trial": "Write trial/test for readers and trial/key.json for "
        "yourself.",
        "--score answers.json --key trial/key.json": "Print how well a reader tells them apart.",
    }
)
def read(
    real: Annotated[
        Path | None, typer.Argument(metavar="REAL", help="Folder of real scans.")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Argument(metavar="SYNTHETIC", help="Folder of synthetic scans.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A new folder.")] = None,
    number: Annotated[
        int, typer.Option("-n", "--number", min=2, help="Most pictures; half of them are real.")
    ] = 64,
    view: Annotated[
        Literal["planes", "axial", "coronal", "sagittal"],
        typer.Option(
            help="What is shown of volumes: three planes, or one. Files of one slice are shown "
            "as they are."
        ),
    ] = "planes",
    voxel: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            min=0.1,
            help="Voxel size of all pictures, so that resolution does not tell them apart. "
            "Default: the largest of all scans.",
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Real or synthetic?",
    question: Annotated[
        str | None, typer.Option(help="The question; default: is it real or synthetic.")
    ] = None,
    seed: options.Seed = 0,
    score: Annotated[
        list[Path] | None,
        typer.Option(help="A file that a reader downloaded; may be given repeatedly."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="With --score: the key of the test; default: key.json beside it."),
    ] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Make a blind reading test as a static page, and score its answers.

    Give readers OUTPUT/test, in a zip or on any web server. The page sends nothing: each reader
    downloads a file of answers and passes it to you. OUTPUT/key.json says which picture is of
    which scan; keep it. The pictures are of real scans too: share them only as you may share the
    scans.

    Exit code: 0 done, 1 a file cannot be used, 2 wrong usage.
    """
    del version
    failures = Failures(COMMAND, debug=debug)
    if score:
        if real is not None or output is not None:
            raise typer.BadParameter("--score goes without REAL, SYNTHETIC and --output")
        return _score(score, key or score[0].with_name("key.json"), failures, as_json=as_json)
    if real is None or synthetic is None or output is None:
        raise typer.BadParameter("name both folders and a new one: REAL SYNTHETIC -o OUTPUT")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} is there and not empty; choose another folder")
    from diff_medical.image_sets.read import find_samples
    from diff_medical.pages.reading import QUESTION, write_test

    try:
        files = _chosen({"real": find_samples(real), "synthetic": find_samples(synthetic)},
                        number // 2, seed)  # fmt: skip
        test = write_test(
            files, output, view=view, voxel=voxel, seed=seed, title=title,
            question=question or QUESTION,
        )  # fmt: skip
    except (ValueError, OSError, ImportError) as error:
        failures.add(str(output), error)
        return 1
    print_line(f"{output / 'test'}: test {test}, pictures: {2 * len(files['real'])}, half real")
    print_line(f"{output / 'key.json'}: the key; readers must not see it")
    return 0


def _chosen(found: dict[str, list[Path]], most: int, seed: int) -> dict[str, list[Path]]:
    """As many files of each kind, drawn by the seed. Raises ValueError for files of the wrong
    kind by their marks.
    """
    import numpy as np

    from diff_medical.marks.told import tell

    count = min(most, *(len(paths) for paths in found.values()))
    rng = np.random.default_rng(seed)
    chosen = {
        kind: [paths[i] for i in sorted(rng.permutation(len(paths))[:count])]
        for kind, paths in found.items()
    }
    for path in chosen["real"]:
        if tell(path).synthetic:
            raise ValueError(f"{path}: is marked as synthetic; expected a real scan")
    return chosen


def _score(answers: Sequence[Path], key: Path, failures: Failures, *, as_json: bool) -> int:
    """Print the scores of readers; return the exit code."""
    from diff_medical.metrics.reading import read_answers, score_answers

    try:
        result = score_answers(read_answers(key, answers))
    except (ValueError, OSError) as error:
        failures.add(str(key), error)
        return 1
    if as_json:
        print(json.dumps(asdict(result)))
        return 0
    width = max(len(name) for name in (*result.readers, "mean of readers"))
    print_line(f"{'':<{width}}  {'accuracy':<24}  area under the curve     by guessing")
    for name, one in result.readers.items():
        both = f"{_said(one.accuracy)}  {_said(one.area)}"
        print_line(f"{name:<{width}}  {both}  p = {one.chance:.3g}")
    if len(result.readers) > 1:
        both = f"{_said(result.accuracy)}  {_said(result.area)}"
        print_line(f"{'mean of readers':<{width}}  {both}")
    return 0


def _said(value: Interval) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})".ljust(24)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
