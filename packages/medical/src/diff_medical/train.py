"""Training on one's own scans: `python -m diff_medical.train enhance --data DIR --out DIR`.

Each sub-command is a module that holds its recipe and builds its job (`diff_core.command.train`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import App, Failures, options, run, usage, use
from diff_core.command.train import training_command
from diff_core.lines import print_line
from diff_medical.data.inputs import Prepared, Scans, StrictScans
from diff_medical.weights import path_of

__all__ = ["RECIPES", "app", "main"]

COMMAND = "diff_medical.train"
RECIPES = Path(__file__).parent / "recipes"

app = App(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_medical on your own scans."""


training_command(
    app,
    "enhance",
    "diff_medical.enhancer.training.job",
    RECIPES / "enhance.yaml",
    inputs=StrictScans,
    shipped=path_of("enhance"),
    command=COMMAND,
    help="Train a denoiser for all noise levels from a folder of scans.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ --start-from shipped": "Train the shipped enhancer on.",
    },
)


training_command(
    app,
    "generate",
    "diff_medical.generator.training.job",
    RECIPES / "generate.yaml",
    inputs=Scans,
    shipped=path_of("generate"),
    command=COMMAND,
    help="Train a generator of synthetic slices from a folder of scans of several people.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ --resume": "Go on with a training that was stopped.",
    },
)
training_command(
    app,
    "generate-volume",
    "diff_medical.generator.training.job",
    RECIPES / "generate_volume.yaml",
    inputs=Scans,
    shipped=path_of("generate_volume"),
    command=COMMAND,
    help="Train a generator of small synthetic volumes from a folder of scans of several people.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ corpus.size=32": "Train on smaller volumes.",
    },
)

for _stage, _what in {
    "anatomy": "the first stage of a generator of brains: tissue of whole heads in coarse cells",
    "lobes": "its second stage: finer cells, given the coarse ones",
    "folds": "its third stage: cells finer still, given those",
    "borders": "its fourth stage: label maps, given the cells",
    "appearance": "its last stage: T1 scans, given label maps",
    "anatomy-weak": "a small, little trained anatomy, away from which the first stage is guided",
    "lobes-weak": "the same of the second stage",
    "folds-weak": "the same of the third stage",
}.items():
    _file = f"brain_{_stage}".replace("-", "_")
    training_command(
        app,
        f"brain-{_stage}",
        "diff_medical.fidelity.training",
        RECIPES / f"{_file}.yaml",
        inputs=Prepared,
        shipped=path_of(_file),
        command=COMMAND,
        help=f"Train {_what}.",
        examples={
            f"--data prepared/ --out brain/{_stage}/": "Train on people of `brain-prepare`.",
            f"--data prepared/ --out brain/{_stage}/ --resume": "Go on with a training.",
        },
    )


@app.command(
    "brain-prepare",
    examples={
        "--data scans/ --template t1.nii.gz --atlas aal.nii.gz --atlas-image ch2bet.nii.gz "
        "--out prepared/": "Align the T1 scans of a folder and make label maps.",
    },
)
def brain_prepare(
    data: Annotated[Path, typer.Option(help="Folder of T1 scans of brains without skull.")],
    template: Annotated[Path, typer.Option(help="T1 without skull that heads are aligned to.")],
    atlas: Annotated[Path, typer.Option(help="Label map of regions in the template's space.")],
    out: Annotated[Path, typer.Option(help="Folder for scans, label maps and manifest.")],
    atlas_image: Annotated[
        Path | None,
        typer.Option(help="T1 that the atlas was drawn on; default: the template."),
    ] = None,
    deep: Annotated[
        tuple[int, int],
        typer.Option(metavar="LOW HIGH", help="Numbers of deep grey matter in the atlas."),
    ] = (71, 78),
    cerebellum: Annotated[
        tuple[int, int],
        typer.Option(metavar="LOW HIGH", help="Numbers of the cerebellum in the atlas."),
    ] = (91, 116),
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines with file, split, subject and licence.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of scans whose manifest says none.")] = "",
    overwrite: options.Overwrite = False,
    threads: options.Threads = None,
    debug: options.Debug = False,
) -> int:
    """Prepare people for the generator of brains.

    Each T1 is aligned to the template by a turn, a shift and one scale, read on the grid of the
    generator, freed of its shading, and labelled: fluid, grey and white matter by intensity, deep
    grey matter and cerebellum by the atlas. A scan that cannot be used is left out with one line.
    Look at the label maps before you train on them.

    Exit code: 0 all done, 1 a scan was left out or nothing was done, 2 wrong usage.
    """
    failures = Failures(COMMAND, debug=debug)
    use("cpu", threads)
    from diff_medical.brain.preparation.atlas import Regions
    from diff_medical.brain.preparation.folder import Preparation, prepare

    with usage():
        regions = Regions(deep, cerebellum)
    done = 0
    try:
        preparation = Preparation.of(template, atlas, atlas_image, regions)
        for one in prepare(
            data, out, preparation, manifest=manifest, licence=licence, overwrite=overwrite,
            failed=lambda path, error: failures.add(str(path), error),
        ):  # fmt: skip
            done += 1
            shares = ", ".join(f"{(one.labels == k).mean():.1%}" for k in range(1, 6))
            print_line(
                f"{one.name}: {one.row.split}, size {one.aligned.scale:.3f}, correlation "
                f"{one.aligned.correlation:.2f}, classes {shares} of the grid"
            )
    except (ValueError, OSError) as error:
        failures.add(str(out), error)
    return failures.finish(done + len(failures.names))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
