"""The command `python -m diff_audio.inspect FOLDER`: a survey of a folder of recordings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_core.command import App, Failures, bar, options, report_unread, require_new, run
from diff_core.lines import log_lines, print_line, printable

if TYPE_CHECKING:
    from diff_audio.data.survey import Found, Survey

__all__ = ["app", "draw", "main"]

COMMAND = "diff_audio.inspect"
SHOWN = 20  # problems that are printed one by one

app = App()


@app.command(
    examples={
        "recordings/": "Print what a folder holds.",
        "corpus/ --manifest corpus/manifest.jsonl --full -o corpus.png": "Decode every file and "
        "draw the result.",
    }
)
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings, of any layout.")],
    output: Annotated[
        Path | None, options.picture("Draw lengths, levels and spectra (PNG).", "-o", "--output")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines: file, and split, speaker, set if known.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Decode every file, not 200 evenly spread.")
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each kind and split.")
    ] = False,
    debug: options.Debug = False,
) -> int:
    """Print what a folder of recordings holds: layout, hours, rates, speakers, faults.

    Nothing is changed.

    Exit code: 0 all files can be used, 1 some cannot, 2 wrong usage.
    """
    failures = Failures(COMMAND, debug=debug)
    log_lines(COMMAND)
    require_new(output, overwrite=overwrite)
    from diff_audio.data.recordings import TRAINING
    from diff_audio.data.survey import survey

    try:
        with bar(1.0, quiet=as_json) as progress:
            found = survey(
                folder,
                manifest,
                listen=None if full else 200,
                progress=lambda share: progress.at(share, "reading"),
            )
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            draw(found, output)
    except (ValueError, OSError) as error:
        failures.add(str(folder), error)
        return 1
    if as_json:
        for row in found.rows():
            print(json.dumps({"layout": found.layout, **row}))
    else:
        _print(found)
    if manifest is None:
        report_unread(folder, TRAINING, failures)
    bad = [one for one in found.found if one.problem]
    for one in bad:
        if as_json or len(failures.names) < SHOWN:
            failures.add(str(one.row.path), one.problem)
    if len(bad) > SHOWN and not as_json:
        print_line(f"{COMMAND}: and {len(bad) - SHOWN} more", sys.stderr)
    return 1 if bad or failures.names else 0


def _print(found: Survey) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"{printable(str(found.folder))}: {found.layout}", title_justify="left")
    rows = found.rows()
    for name in rows[0]:
        number = isinstance(rows[0][name], int | float)
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        cells = (", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in row.values())
        table.add_row(*map(printable, cells))
    console.print(table)
    console.print(found.counts, highlight=False)
    heard = sum(one.spectrum is not None for one in found.found)
    console.print(f"{heard} of {len(found.found)} files were decoded", highlight=False)
    notes = [(one.row.path, text) for one in found.found for text in one.notes]
    for path, text in notes[:SHOWN]:
        print_line(f"note: {path}: {text}")
    if len(notes) > SHOWN:
        console.print(f"note: and {len(notes) - SHOWN} more such lines", highlight=False)
    for note in found.notes:
        print_line(f"note: {note}")


def draw(found: Survey, path: Path) -> None:
    """Draw lengths, hours of each speaker, levels and mean spectra, by kind, into `path` (PNG,
    PDF).
    """
    import numpy as np
    from matplotlib.figure import Figure

    from diff_audio.data.survey import BANDS
    from diff_core.files import replacing

    kinds: dict[str, list[Found]] = {}
    for one in found.found:
        if one.recording:
            kinds.setdefault(one.row.kind, []).append(one)
    figure = Figure(figsize=(11, 7), layout="constrained")
    (lengths, speakers), (levels, spectra) = figure.subplots(2, 2)
    longest = max((one.seconds for some in kinds.values() for one in some), default=1.0)
    for number, (kind, some) in enumerate(sorted(kinds.items())):
        colour = f"C{number}"
        edges = np.linspace(0, longest, 40)
        lengths.hist([o.seconds for o in some], edges, histtype="step", color=colour, label=kind)
        hours: dict[str, float] = {}
        for one in some:
            hours[one.row.speaker] = hours.get(one.row.speaker, 0.0) + one.seconds / 60
        shares = sorted(hours.values(), reverse=True)
        speakers.plot(range(1, len(shares) + 1), shares, ".-", ms=3, color=colour, label=kind)
        heard = [one.level for one in some if one.level > -120]
        if heard:
            levels.hist(heard, np.arange(-80, 4, 2), histtype="step", color=colour, label=kind)
        curves = [one.spectrum for one in some if one.spectrum is not None]
        if curves:
            shown = np.maximum(np.stack(curves), -90)
            known = np.isfinite(shown).any(0)
            low, middle, high = np.nanpercentile(shown[:, known], [10, 50, 90], axis=0)
            spectra.fill_between(BANDS[known], low, high, alpha=0.15, color=colour, lw=0)
            spectra.plot(BANDS[known], middle, color=colour, label=kind)
    lengths.set(xlabel="Length (s)", ylabel="Files", yscale="log", title=found.layout)
    speakers.set(xlabel="Speaker or noise, by amount", ylabel="Minutes", yscale="log")
    levels.set(xlabel="Level of the active part (dBFS)", ylabel="Files")
    spectra.set(xlabel="Frequency (Hz)", ylabel="Level, 10 to 90 % of files (dB)", xscale="log")
    for axes in (lengths, speakers, levels, spectra):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
