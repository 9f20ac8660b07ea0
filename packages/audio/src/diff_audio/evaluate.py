"""`python -m diff_audio.evaluate REF EST`: scores of enhanced recordings against clean ones."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from diff_audio.files import SUFFIXES, BadFile
from diff_audio.names import TAG
from diff_core.command import App, Failures, bar, options, require_new, run

__all__ = ["Pair", "app", "grouped", "main", "pairs", "score_files", "summary"]

COMMAND = "diff_audio.evaluate"
MISSING = "{} is left out: it needs the library {} (pip install '{}')"

app = App()


@dataclass(frozen=True)
class Pair:
    """A clean recording and an enhanced one."""

    name: str
    reference: Path
    estimate: Path


def pairs(reference: Path, estimate: Path, failures: Failures) -> list[Pair]:
    """Two files, or the files of two folders that have the same name (endings and `_denoised` do
    not count). Those without a partner are failures. Raises typer.BadParameter for a file and a
    folder.
    """
    if reference.is_dir() != estimate.is_dir():
        raise typer.BadParameter("REF and EST must be two files or two folders")
    if not reference.is_dir():
        return [Pair(reference.name, reference, estimate)]
    clean, enhanced = dict(_named(reference)), dict(_named(estimate))
    for name in sorted(enhanced.keys() - clean.keys()):
        failures.add(
            str(enhanced[name]), f"no file of this name in {reference}; nothing to compare with"
        )
    for name in sorted(clean.keys() - enhanced.keys()):
        failures.add(str(clean[name]), f"no file of this name in {estimate}; enhance it first")
    return [Pair(n, clean[n], enhanced[n]) for n in sorted(clean.keys() & enhanced.keys())]


def _named(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path.relative_to(folder).with_name(path.stem.removesuffix(TAG)).as_posix(), path


def score_files(pair: Pair, names: Sequence[str], *, align: bool = False) -> dict[str, float]:
    """Scores of one pair at 16 kHz; of several channels each is scored and the mean taken.

    `align` first undoes a delay of up to 150 ms and cuts both to the shorter.
    Raises BadFile for files that cannot be read or compared.
    """
    import numpy as np
    import torch

    from diff_audio import metrics
    from diff_audio.files import read
    from diff_audio.resample import resample

    (clean, rate), (enhanced, other) = read(pair.reference), read(pair.estimate)
    if rate != other or clean.shape[0] != enhanced.shape[0]:
        raise BadFile(
            f"has {enhanced.shape[0]} channels at {other} Hz, its reference {clean.shape[0]} at "
            f"{rate} Hz; convert one of them"
        )
    if clean.shape != enhanced.shape:
        if not align:
            raise BadFile(
                f"has {enhanced.shape[1]} samples, its reference {clean.shape[1]}; "
                "add --align to cut to the shorter"
            )
        shorter = min(clean.shape[1], enhanced.shape[1])
        clean, enhanced = clean[:, :shorter], enhanced[:, :shorter]
    rows: list[dict[str, float]] = []
    for waves in zip(clean, enhanced, strict=True):
        ref, est = (resample(torch.from_numpy(wave), rate, metrics.RATE).numpy() for wave in waves)
        if align:
            est, _ = metrics.align(ref, est)
        rows.append(metrics.score(ref, est, names))
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def summary(rows: Sequence[dict[str, float]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """For each metric the mean, the half-width of its 95 % Student-t interval, and how many files
    it is defined for.
    """
    from diff_audio.metrics import mean_interval

    table: dict[str, dict[str, float]] = {}
    for name in names:
        mean, half, count = mean_interval([row[name] for row in rows])
        table[name] = {"mean": mean, "half_width": half, "count": count}
    return table


def grouped(names: Sequence[str], pattern: str | None) -> dict[str, str]:
    """The group of each file: what `pattern` matches in its name, in its first parentheses if it
    has any; without a pattern, its folder.

    Raises ValueError for a pattern that is no regular expression or does not match a name.
    """
    if pattern is None:
        return {name: name.rpartition("/")[0] or "." for name in names}
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--group {pattern!r} is no regular expression: {error}") from error
    found: dict[str, str] = {}
    for name in names:
        match = expression.search(name)
        if match is None:
            raise ValueError(f"--group {pattern!r} does not match the name {name!r}")
        found[name] = match.group(1 if expression.groups else 0) or ""
    return found


@app.command()
def evaluate(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="Clean recording, or folder.")],
    estimate: Annotated[
        Path, typer.Argument(metavar="EST", help="Enhanced recording, or folder.")
    ],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the scores of every file here.")
    ] = None,
    plot: Annotated[
        Path | None, options.picture("Draw the scores of all files and groups.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Mean of each group too: what this matches in the name, in its parentheses if "
            "it has any ('snr(-?[0-9]+)'); default: the folder.",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Only these, with commas between: si_sdr,pesq."),
    ] = None,
    overwrite: options.Overwrite = False,
    align: Annotated[
        bool, typer.Option("--align", help="Undo a delay of up to 150 ms and cut to the shorter.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each file, and one for the means.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No definitions, no progress.")] = False,
    debug: options.Debug = False,
) -> int:
    """Score enhanced recordings against the clean ones, at 16 kHz.

    Prints the definition of every score, the scores, and their mean with a 95 % interval.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    require_new(csv_file, plot, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    found = pairs(reference, estimate, failures)
    total = len(found) + len(failures.names)
    if not total:
        failures.add(str(reference), "no sound files in these folders; give others")
        return 1

    try:
        places = grouped([pair.name for pair in found], group)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

    from diff_audio.metrics import DEFINITIONS, METRICS, NEEDS, available

    wanted = METRICS if scores is None else tuple(scores.split(","))
    if unknown := set(wanted) - set(METRICS):
        raise typer.BadParameter(
            f"--scores are among {', '.join(METRICS)}, got {', '.join(sorted(unknown))}"
        )
    names = tuple(name for name in wanted if name in available())
    for name in set(wanted) - set(names):
        print(f"{COMMAND}: {MISSING.format(name.upper(), *NEEDS[name])}", file=sys.stderr)
    rows: dict[str, dict[str, float]] = {}
    with bar(float(len(found)), quiet=quiet) as progress:
        for pair in found:
            progress.at(0.0, pair.name)
            try:
                rows[pair.name] = score_files(pair, names, align=align)
            except Exception as error:  # one bad file must not stop the others
                failures.add(str(pair.estimate), error)
            progress.add(1.0)
    means = summary(list(rows.values()), names)
    groups: dict[str, list[dict[str, float]]] = {}
    for name in sorted(rows, key=lambda name: places[name]):
        groups.setdefault(places[name], []).append(rows[name])
    several = {name: summary(some, names) for name, some in groups.items() if len(groups) > 1}
    for path, write in (
        (csv_file, lambda path: _write_csv(path, rows, places, names)),
        (plot, lambda path: _draw(path, groups, names)),
    ):
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path)
        except (OSError, ValueError) as error:
            failures.add(str(path), error)
    if as_json:
        for name, row in rows.items():
            print(json.dumps({"file": name, "group": places[name], **_strict(row)}))
        for name, table in [*several.items(), (None, means)]:
            whose = {} if name is None else {"group": name}
            print(json.dumps({**whose, "mean": {n: _strict(row) for n, row in table.items()}}))
    elif rows:
        if not quiet:
            print("\n".join(f"{name:7} {DEFINITIONS[name]}" for name in names), end="\n\n")
        print("\n".join(_table(rows, several, means, names)))
    return failures.finish(total)


def _table(
    rows: dict[str, dict[str, float]],
    groups: dict[str, dict[str, dict[str, float]]],
    means: dict[str, dict[str, float]],
    names: Sequence[str],
) -> Iterator[str]:
    width = max(len("95 % +-"), *(len(name) for name in [*rows, *groups]))
    yield f"{'file':{width}}" + "".join(f"{name:>9}" for name in names)
    for file, row in rows.items():
        yield f"{file:{width}}" + "".join(f"{row[name]:9.3f}" for name in names)
    for title, table in [*groups.items(), ("", means)]:
        if groups:
            yield f"\n{title or 'all'}"
        for label, key in (("mean", "mean"), ("95 % +-", "half_width"), ("files", "count")):
            form = ".0f" if key == "count" else ".3f"
            values = (table[name][key] for name in names)
            # an interval needs two files
            cells = ("-" if math.isnan(value) else f"{value:{form}}" for value in values)
            yield f"{label:{width}}" + "".join(f"{cell:>9}" for cell in cells)


def _strict(row: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _write_csv(
    path: Path, rows: dict[str, dict[str, float]], places: dict[str, str], names: Sequence[str]
) -> None:
    from diff_core.files import replacing

    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "group", *names])
        for name, row in rows.items():
            writer.writerow([name, places[name], *(row[metric] for metric in names)])


def _draw(path: Path, groups: dict[str, list[dict[str, float]]], names: Sequence[str]) -> None:
    from diff_audio.metrics import BETTER
    from diff_core.command.score_plot import plot_scores

    plot_scores(groups, {name: BETTER[name] for name in names}, path)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
