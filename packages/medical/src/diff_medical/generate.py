"""`python -m diff_medical.generate -n 16 -o out/`: synthetic scans, each marked as such."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diff_core.command import App, Failures, bar, options, run, usage, use
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_medical.generator.model import Generator, Made
    from diff_medical.generator.request import Choice
    from diff_medical.jobs.generate import Plan
    from diff_medical.marks.mark import Mark

__all__ = ["app", "main"]

COMMAND = "diff_medical.generate"
DRAWN = 64  # most slices in the picture
DRAWN_VOLUMES = 8

app = App()


@app.command(
    examples={
        "-n 16 -o out/": "Write 16 slices of all kinds that the model knows, and a contact sheet.",
        "--volume --modality t1 -o out/ --format dicom": "Write one T1 volume as a DICOM series.",
    }
)
def generate(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the scans; made if need be.")
    ] = None,
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, help="How many scans to make.")
    ] = 1,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            help="A modality as --list prints it; several take turns. Default: all that the model "
            "knows."
        ),
    ] = None,
    body: Annotated[
        str,
        typer.Option(help="The part of the body; default: the one learned from the most scans."),
    ] = "",
    plane: Annotated[
        str,
        typer.Option(
            help="The plane of slices: axial, coronal or sagittal; default: the one learned from "
            "the most scans."
        ),
    ] = "",
    position: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The position of slices: 0 right, back or bottom, 1 left, front or top. Default: "
            "drawn by the seed, as in the training data.",
        ),
    ] = None,
    volume: Annotated[bool, typer.Option("--volume", help="Make volumes, not slices.")] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="NIfTI label map to follow, for a model that was trained with them."),
    ] = None,
    format: Annotated[
        Literal["nifti", "dicom"], typer.Option(help="The files to write.")
    ] = "nifti",
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="The seed of the first scan; each further one has the next seed."
        ),
    ] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the sampler.")] = 18,
    guidance: Annotated[
        float, typer.Option(min=0, help="Above 1: more typical of its kind, less varied.")
    ] = 1.5,
    temperature: Annotated[
        float, typer.Option(min=0, help="Below 1: less varied, smoother.")
    ] = 0.9,
    batch: Annotated[
        int, typer.Option(min=1, help="Scans at once; changes memory, not the scans.")
    ] = 8,
    picture: Annotated[
        Path | None, typer.Option(help="The contact sheet (PNG); default: in the output folder.")
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Print what the model knows, and stop.")
    ] = False,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    weights: options.Weights = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each scan, and one at the end.")
    ] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Make synthetic MR and CT scans.

    Every scan is marked as synthetic, in its name, its header and a JSON file beside it, with the
    model, the seed and the conditions (`python -m diff_medical.provenance` reads the marks). A
    contact sheet shows them all. Scan i depends on --seed + i and what is asked for, on nothing
    else. Nothing is uploaded or downloaded. For research; not for diagnosis.

    Exit code: 0 all done, 1 failed, 2 wrong usage.
    """
    del version
    if volume and (plane or position is not None):
        name = "plane" if plane else "position"
        raise typer.BadParameter(f"--{name} is of slices; it does not go with --volume")
    if output is None and not show_list:
        raise typer.BadParameter("name the folder for the scans: -o out/")
    if picture is not None and picture.suffix.lower() != ".png":
        raise typer.BadParameter(f"--picture is {picture}; expected a .png file")
    failures = Failures(COMMAND, debug=debug)
    use(device, threads)
    from diff_medical.generator.model import Generator, Sampling
    from diff_medical.generator.selection import choose

    with usage():
        sampling = Sampling(steps, guidance, temperature, seed, batch)
    try:
        generator = Generator.from_pretrained(weights, volume=volume, device=device)
    except (ValueError, OSError) as error:
        failures.add("the model", error)
        return 1
    if volume != (generator.spatial == 3):
        what = "volumes: add --volume" if generator.spatial == 3 else "slices: leave out --volume"
        raise typer.BadParameter(f"--weights is a model of {what}")
    if show_list:
        _list(generator, as_json=as_json)
        return 0
    with usage():
        kinds = choose(generator.kinds.choices, modality or (), body, plane)
    assert output is not None  # or it would have been refused
    from diff_medical.jobs.generate import Plan, read_labels

    try:
        requests = [
            replace(generator.kinds.request(kinds[i % len(kinds)]), position=position)
            for i in range(number)
        ]
        plan = Plan(requests, sampling, output, format == "dicom")
        sheet = picture or plan.picture()
        plan.refuse_existing(sheet, overwrite=overwrite)
        if labels is not None:
            plan = replace(plan, labels=read_labels(labels, generator, requests[0]))
        _make(generator, plan, kinds, sheet, quiet=quiet, as_json=as_json)
    except Exception as error:  # told in one line, as by every command
        failures.add(str(output), error)
    return failures.finish(1)


def _list(generator: Generator, *, as_json: bool) -> None:
    """Print what the model knows."""
    from diff_medical.generator.selection import honest, listed

    choices = generator.kinds.choices
    if as_json:
        for kind in choices:
            print(json.dumps(asdict(kind)))
        return
    for line in (*listed(choices), f"{generator.card.name}: {honest(generator.card, choices)}"):
        print_line(line)


def _make(
    generator: Generator,
    plan: Plan,
    kinds: Sequence[Choice],
    sheet: Path,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make the scans and draw them; print each when it is written."""
    from diff_medical.generator.selection import audit_of, honest
    from diff_medical.jobs.generate import make
    from diff_medical.marks.mark import together
    from diff_medical.pages.contact_sheet import contact_sheet

    begun = time.perf_counter()
    plan.folder.mkdir(parents=True, exist_ok=True)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    drawn: list[Made] = []
    marks: list[Mark] = []
    with bar(float(len(plan.requests)), quiet=quiet) as progress:
        for path, made, mark in make(generator, plan, lambda done: progress.at(done, "scans")):
            if len(drawn) < (DRAWN if made.values.ndim == 2 else DRAWN_VOLUMES):
                drawn.append(made)
                marks.append(mark)
            if as_json:
                progress.say(json.dumps({"output": str(path), **mark.record()}))
            elif not quiet:
                progress.say(str(path))
    contact_sheet(sheet, drawn, together(marks))
    seconds = time.perf_counter() - begun
    if as_json:
        end = {
            "picture": str(sheet),
            "scans": len(plan.requests),
            "seconds": round(seconds, 2),
            "people": generator.card.signal.get("subjects"),
            "audit": audit_of(generator.card, kinds),
            "notice": honest(generator.card, kinds),
        }
        print(json.dumps(end))
    elif not quiet:
        count = len(plan.requests)
        print_line(f"{sheet}  (scans: {count}, {seconds / count:.1f} s each)")
        print(f"Synthetic: {honest(generator.card, kinds)}.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
