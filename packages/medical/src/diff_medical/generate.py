"""`python -m diff_medical.generate -n 16 -o out/`: synthetic scans, each marked as such."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from diff_core.command import App, Failures, bar, options, run, usage, use
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_medical.generator.model import Made
    from diff_medical.generator.request import Choice
    from diff_medical.marks.mark import Mark

__all__ = ["app", "main"]

COMMAND = "diff_medical.generate"
DRAWN = 64  # most slices in the picture
DRAWN_VOLUMES = 8
FEW = "no kind that comes with the package is learned from 20 people or more"
FILLED = "Outside the hole it is the person's scan: share it only as you may share the scan."
RELATIVE = "Relatives of a scan resemble the person: share them only as you may share the scan."

app = App()


@app.command(
    examples={
        "-n 16 -o out/": "Write 16 slices of all kinds that the model knows, and a contact sheet.",
        "--volume --modality t1 -o out/ --format dicom": "Write one T1 volume as a DICOM series.",
        "--volume --weights brain/ --with-labels -o out/": "Write a brain and its label map.",
        "--weights brain/ -n 12 --per-brain 3 -o out/": "Write three slices of each of four "
        "brains.",
        "--volume --weights brain/ --from scan.nii.gz -n 4 -o out/": "Write relatives of a scan.",
        "--weights brain/ --from scan.nii.gz --fill mask.nii.gz -o out/": "Fill a hole of a scan.",
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
            "the most scans; of brains all in turn."
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
    per_brain: Annotated[
        int | None,
        typer.Option(min=1, help="Slices of each brain, for a model of brains.", show_default="1"),
    ] = None,
    experimental: Annotated[
        bool,
        typer.Option(
            "--experimental",
            help="Also offer what the package has learned from fewer than 20 people.",
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="NIfTI label map to follow, for a model of brains or one that was trained with "
            "label maps."
        ),
    ] = None,
    with_labels: Annotated[
        bool,
        typer.Option("--with-labels", help="Write the label map of each brain beside its scan."),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="T1 scan of a brain without skull, of which relatives are made."
        ),
    ] = None,
    fill: Annotated[
        Path | None,
        typer.Option(
            metavar="MASK",
            help="With --from: fill the voxels of the scan where this NIfTI file is not 0, and "
            "leave all others as they are. What is filled in is invented.",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="With --from: 1 forgets the scan, 0.1 keeps most of it.", show_default="0.5"
        ),
    ] = None,
    ventricles: Annotated[
        str,
        typer.Option(
            help="The size of a brain's ventricles: small, normal, large, or -3 to 3 deviations "
            "from the mean. Default: drawn by the seed, as in the training data."
        ),
    ] = "",
    format: Annotated[
        Literal["nifti", "dicom"], typer.Option(help="The files to write.")
    ] = "nifti",
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="The seed of the first scan; each further one has the next seed."
        ),
    ] = 0,
    quality: Annotated[
        Literal["draft", "default", "best"],
        typer.Option(help="Steps of each stage of a model of brains; more take longer."),
    ] = "default",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of each stage; default: 18, for brains by --quality."),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Above 1: more typical of its kind, less varied. Default: 1.5, for brains 1.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, help="Below 1: less varied, smoother. Default: 0.9, for brains 1."),
    ] = None,
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
    if fill is not None and format == "dicom":
        raise typer.BadParameter("--fill keeps the format of the scan; leave out --format")
    if picture is not None and picture.suffix.lower() != ".png":
        raise typer.BadParameter(f"--picture is {picture}; expected a .png file")
    from diff_medical.jobs import drawing

    volume = volume or fill is not None
    brains = drawing.is_of_brains(weights, modality or [], body, experimental=experimental)
    of_brains = {
        "with-labels": with_labels, "ventricles": ventricles, "from": source, "strength": strength,
        "per-brain": per_brain, "fill": fill,
    }  # fmt: skip
    _refuse(of_brains, brains=brains, labels=labels, volume=volume)
    failures = Failures(COMMAND, debug=debug)
    use(device, threads)
    from diff_medical.generator.selection import choose, scarce

    with usage():
        said = {"steps": steps, "guidance": guidance, "temperature": temperature}
        said |= {"strength": strength}
        said = {name: value for name, value in said.items() if value is not None}
        sampling = drawing.settings(said, seed, batch, brains, quality, ventricles)
    few = drawing.few(weights, brains=brains, experimental=experimental)
    if show_list:
        more = experimental and weights is None
        return _list(weights, volume, brains, few, more, device, failures, as_json=as_json)
    try:
        generator = drawing.model(weights, volume, brains, device)
    except (ValueError, OSError) as error:
        failures.add("the model", error)
        return 1
    if not brains and volume != (generator.spatial == 3):
        what = "volumes: add --volume" if generator.spatial == 3 else "slices: leave out --volume"
        raise typer.BadParameter(f"--weights is a model of {what}")
    with usage():
        choices = drawing.choices_of(generator.kinds, brains=brains, volume=volume)
        kinds = choose(choices, modality or (), body, plane)
    if few == "refuse" and (reason := scarce(kinds)):
        raise typer.BadParameter(f"{reason}; add --experimental to make it all the same")
    if few == "say" and not quiet:
        print_line(f"{COMMAND}: note: {FEW}", sys.stderr)
    assert output is not None  # or it would have been refused
    try:
        slices = brains and not volume
        requests = drawing.requests_of(
            generator, kinds, number, position,
            turning=seed if slices and not plane else None, per_brain=per_brain or 1,
        )  # fmt: skip
        plan = drawing.plan(
            brains, requests, sampling, output, dicom=format == "dicom", with_labels=with_labels,
            per_brain=(per_brain or 1) if slices else None, filled=source if fill else None,
        )  # fmt: skip
        kinds = generator.kinds.choices if brains else kinds
        sheet = picture or plan.picture()
        plan.refuse_existing(sheet, overwrite=overwrite)
        plan = drawing.follow(
            plan, generator, brains=brains, labels=labels, source=source, mask=fill
        )
        _make(generator, plan, kinds, sheet, brains=brains, quiet=quiet, as_json=as_json)
    except Exception as error:  # told in one line, as by every command
        failures.add(str(output), error)
    return failures.finish(1)


def _refuse(
    of_brains: Mapping[str, object], *, brains: bool, labels: Path | None, volume: bool
) -> None:
    """Raise typer.BadParameter for options that are of brains alone, or exclude each other."""
    for name, given in of_brains.items():
        if given not in (None, False, "") and not brains:
            raise typer.BadParameter(
                f"--{name} is of a model of brains; it takes T1 and --weights FOLDER"
            )
    if volume and of_brains["per-brain"] is not None:
        raise typer.BadParameter("--per-brain is of slices; it does not go with --volume")
    for name in ("ventricles", "from"):
        if of_brains[name] and labels is not None:
            raise typer.BadParameter(f"--{name} is of brains that are drawn; leave out --labels")
    if of_brains["fill"]:
        if not of_brains["from"]:
            raise typer.BadParameter("--fill is of a scan; add --from SCAN")
        for name in ("strength", "ventricles"):
            if of_brains[name]:
                raise typer.BadParameter(f"--fill does not go with --{name}")
    if of_brains["strength"] is not None and not of_brains["from"]:
        raise typer.BadParameter("--strength is of relatives of a scan; add --from SCAN")


def _list(
    weights: Path | None,
    volume: bool,
    brains: bool,
    few: str,
    more: bool,
    device: str,
    failures: Failures,
    *,
    as_json: bool,
) -> int:
    """Print the kinds that can be made; with `more` those of the shipped brains too."""
    from diff_medical.generator.selection import FEWEST, honest, listed
    from diff_medical.jobs import drawing

    try:
        generator = drawing.model(weights, volume, brains, device)
    except (ValueError, OSError) as error:
        failures.add("the model", error)
        return 1
    choices = drawing.choices_of(generator.kinds, brains=brains, volume=volume)
    shown = [kind for kind in choices if few != "refuse" or kind.subjects >= FEWEST]
    if more and not brains and (kinds := drawing.shipped_brains()):
        shown = [*drawing.choices_of(kinds, brains=True, volume=volume), *shown]
    if as_json:
        for kind in shown:
            print(json.dumps(asdict(kind)))
        return 0
    for line in (*listed(shown), f"{generator.card.name}: {honest(generator.card, shown)}"):
        print_line(line)
    if few == "say":
        print_line(f"note: {FEW}", sys.stderr)
    elif brains and weights is None:
        print_line(f"--experimental lists what is learned from fewer than {FEWEST} people")
    return 0


def _make(
    generator: Any,
    plan: Any,
    kinds: Sequence[Choice],
    sheet: Path,
    *,
    brains: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make the scans and draw them; print each when it is written."""
    from diff_medical.generator.selection import audit_of, honest
    from diff_medical.jobs.drawing import draw
    from diff_medical.marks.mark import together
    from diff_medical.pages.contact_sheet import contact_sheet

    begun, spent = time.perf_counter(), Counter[str]()
    if brains and getattr(plan, "holed", None) is None:
        generator.check(labels=plan.labels is not None)
    plan.folder.mkdir(parents=True, exist_ok=True)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    drawn: list[Made] = []
    marks: list[Mark] = []
    with bar(float(len(plan.requests)), quiet=quiet) as progress:
        scans = draw(generator, plan, brains, spent, lambda done: progress.at(done, "scans"))
        for path, made, mark in scans:
            if len(drawn) < (DRAWN if made.values.ndim == 2 else DRAWN_VOLUMES):
                drawn.append(made)
                marks.append(mark)
            if as_json:
                progress.say(json.dumps({"output": str(path), **mark.record()}))
            elif not quiet:
                progress.say(str(path))
    contact_sheet(sheet, drawn, together(marks))
    seconds, count = time.perf_counter() - begun, len(plan.requests)
    each = {name: round(value / count, 1) for name, value in spent.items()}
    if as_json:
        end = {
            "picture": str(sheet),
            "scans": count,
            "seconds": round(seconds, 2),
            **({"processor seconds": each} if each else {}),
            "people": generator.card.signal.get("subjects"),
            "audit": audit_of(generator.card, kinds),
            "notice": honest(generator.card, kinds),
        }
        print(json.dumps(end))
    elif not quiet:
        line = f"scans: {count}, {seconds / count:.1f} s each"
        if each:
            stages = ", ".join(f"{name} {value}" for name, value in each.items())
            line += f"; {sum(each.values()):.1f} s of processor: {stages}"
        print_line(f"{sheet}  ({line})")
        print(f"Synthetic: {honest(generator.card, kinds)}.")
        if brains and getattr(plan, "holed", None) is not None:
            print(FILLED)
        elif brains and plan.source is not None:
            print(RELATIVE)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
