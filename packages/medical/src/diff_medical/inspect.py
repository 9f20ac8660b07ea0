"""`python -m diff_medical.inspect FOLDER`: what a folder of scans holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_core.command import App, Failures, bar, options, report_unread, require_new, run
from diff_core.lines import print_line, printable

if TYPE_CHECKING:
    from diff_medical.data.survey import Survey

__all__ = ["app", "draw", "main"]

COMMAND = "diff_medical.inspect"
SHOWN = 24  # scans in the picture

app = App()


@app.command(
    examples={
        "scans/": "List the scans of a folder and what is wrong with them.",
        "scans/ -o overview.png": "Draw the middle plane of each scan too.",
    }
)
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder of NIfTI scans, BIDS or DICOM.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Draw a slice of each scan (PNG).")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="JSON lines: file, split, modality. Default: FOLDER/manifest.jsonl."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each scan.")
    ] = False,
    debug: options.Debug = False,
) -> int:
    """Report what a folder of scans holds: layout, subjects, modality, spacing, noise, faults.

    Nothing is changed. Exit code: 0 all scans can be used, 1 some cannot, 2 wrong usage.
    """
    failures = Failures(COMMAND, debug=debug)
    require_new(output, overwrite=overwrite)
    from diff_medical.data.survey import survey
    from diff_medical.scan.kinds import TRAINING

    try:
        with bar(1.0, quiet=as_json) as progress:
            found = survey(folder, manifest, progress=lambda share: progress.at(share, "reading"))
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            draw(found, output)
    except (ValueError, OSError) as error:
        failures.add(str(folder), error)
        return 1
    if as_json:
        for one in found.found:
            if not one.problem:
                print(json.dumps({"layout": found.layout, **one.entry(), "notes": one.notes}))
    else:
        _print(found)
    if found.layout in ("plain", "BIDS"):
        report_unread(folder, TRAINING, failures)
    for path, why in found.left_out:
        failures.warn(str(path), f"left out: {why}")
    for one in found.found:
        if one.problem:
            failures.add(str(one.row.path), one.problem)
    return 1 if failures.names else 0


def _print(found: Survey) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, width=None if sys.stdout.isatty() else 150)
    table = Table(title=f"{printable(str(found.folder))}: {found.layout}", title_justify="left")
    usable = [one for one in found.found if not one.problem]
    entries = [one.entry() for one in usable]
    shown = [name for name in (entries[0] if entries else ()) if any(e[name] for e in entries)]
    for name in shown:
        table.add_column(name, overflow="fold")
    for entry in entries:
        table.add_row(*(printable(_cell(name, entry[name])) for name in shown))
    if entries:
        console.print(table)
    units = {one.row.subject or str(one.row.path) for one in found.found}
    console.print(
        f"{len(usable)} of {len(found.found)} scans can be used, of {len(units)} subjects, "
        f"{found.voxels / 1e6:.1f} million voxels",
        highlight=False,
    )
    console.print(found.counts, highlight=False)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    for remark in found.remarks():
        print_line(remark)
    for one in usable:
        for note in one.notes:
            print_line(f"note: {one.row.path}: {note}")


def _cell(name: str, value: object) -> str:
    if isinstance(value, list):
        return (" x " if name in ("shape", "mm") else " to ").join(map(str, value))
    return "" if value is None else str(value)


def draw(found: Survey, path: Path) -> None:
    """The middle slice across the axis of the fewest voxels of up to 24 scans, evenly chosen,
    upright where the header says how, in true proportions, into `path` (PNG, PDF).
    """
    import numpy as np
    from matplotlib.figure import Figure

    from diff_core.files import replacing

    usable = [one for one in found.found if not one.problem]
    if not usable:
        raise ValueError("none of the scans can be used; there is nothing to draw")
    chosen = np.linspace(0, len(usable) - 1, min(SHOWN, len(usable))).round().astype(int)
    columns = min(6, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(
        figsize=(2.2 * columns, 2.6 * lines), dpi=120, layout="constrained", facecolor="#111418"
    )
    cells = figure.subplots(lines, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, index in zip(cells, chosen, strict=False):
        one = usable[index]
        assert one.plane is not None  # it can be used
        is_ct = one.modality.startswith("CT")
        cell.imshow(
            one.plane.T,
            origin="lower",
            cmap="gray",
            vmin=0.55 if is_ct else 0.0,  # -175 to 275 HU
            vmax=0.85 if is_ct else 1.0,
            aspect=one.height * one.plane.shape[0] / one.plane.shape[1],
        )
        sizes = " ".join(f"{s:.3g}" for s in one.spacing)
        label = (
            f"{one.row.path.name.split('.')[0][:28]}\n{one.modality} {one.row.contrast} {sizes} mm"
        )
        cell.set_title(label, color="white", fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor=figure.get_facecolor())


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
