"""`python -m diff_medical.evaluate REF EST`: scores of scans against references."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_core.command import App, Failures, files_of_split, options, require_new, run, usage
from diff_core.data import Split
from diff_core.lines import cell, print_line
from diff_medical.metrics.files import NAMING, pairs, score_file

if TYPE_CHECKING:
    from diff_medical.enhancer.calibration import Coverage
    from diff_medical.metrics.scores import Scores

__all__ = ["app", "main"]

COMMAND = "diff_medical.evaluate"
OF_MASK = "; PSNR, SSIM, NMSE and MAE are of the mask; 2-D, MS-SSIM and edges of the whole volume"

app = App()


@app.command(
    examples={
        "clean.nii.gz enhanced.nii.gz": "Print the scores of a scan against its reference.",
        "clean/ enhanced/ --csv scores.csv": "Score the scans of two folders, by their names.",
    }
)
def evaluate(
    reference: Annotated[
        Path,
        typer.Argument(metavar="REF", help="Reference scan (a file, a DICOM series), or folder."),
    ],
    estimate: Annotated[
        Path | None,
        typer.Argument(
            metavar="EST",
            help="Scan to score, or folder: scans of the same name, with or without _enhanced. "
            "What lies in the same place is turned to the axes of REF; the rest is refused.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Scan, or folder of scans named as REF: voxels other than 0 count for PSNR, "
            "SSIM, NMSE and MAE; the other scores are of the whole volume."
        ),
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option(
            metavar="SPLIT",
            help="Score only the scans of REF in this split (train, val or test), as training "
            "splits that folder.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines with file, split, for --split. Default: REF/manifest.jsonl."
        ),
    ] = None,
    data_range: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Default: maximum - minimum of each reference."),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="Clip both to this first, as a display does: CT -160 240."
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the scores of every file here.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the scores of all files.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each file, and one for the means.")
    ] = False,
    overwrite: options.Overwrite = False,
    strict: options.Strict = False,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration",
            help="Instead: add noise to REF (of a folder with a manifest: its validation scans), "
            "enhance, and print how often the truth lies within the uncertainty.",
        ),
    ] = False,
    percent: Annotated[
        list[float],
        typer.Option(min=0.1, max=100, help="Noise of --calibration; may be given repeatedly."),
    ] = [5.0, 10.0],  # noqa: B006
    crop: Annotated[
        int, typer.Option(min=16, help="Voxels across the middle block of --calibration.")
    ] = 56,
    weights: Annotated[
        Path | None, typer.Option(help="A model of your own training, for --calibration.")
    ] = None,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Score scans against references, with data range, window, mask and dimensions stated.

    PSNR and SSIM are scikit-image's (SSIM: Gaussian window, sd 1.5 voxels, over all axes at once;
    "2-D": over slices along the last axis, averaged); MS-SSIM is over slices; NMSE is the
    squared error over the squared reference; MAE is in the scan's units; edges is the slope across
    the reference's strongest edges, over the reference's own. Over several files also the mean and
    its 95 % interval (Student's t over files). A series (4-D) counts as its volumes.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if data_range is not None and not data_range > 0:
        raise typer.BadParameter(f"--data-range is {data_range}; expected a positive number")
    if window is not None and not window[0] < window[1]:
        raise typer.BadParameter(f"--window is {window}; expected the lower value first")
    require_new(csv_file, plot, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug, strict=strict)
    if calibration:
        if estimate is not None:
            raise typer.BadParameter("--calibration enhances REF itself: leave out EST")
        if plot is not None or window is not None:
            raise typer.BadParameter("--calibration has no --plot and no --window")
        return _calibrate(reference, percent, crop, weights, csv_file, as_json, failures)
    if estimate is None:
        raise typer.BadParameter("EST is missing: the scan to score against REF")
    try:
        counts, only = files_of_split(reference, manifest, split, _of_split, "scan")
    except ValueError as error:
        failures.add(str(reference), error)
        return 1
    with usage():
        todo = pairs(reference, estimate, mask, failures, only)
    if not as_json:
        for line in (counts, f"pairs: {NAMING.rule}" if reference.is_dir() else ""):
            if line and todo:
                print(line)
    total = len(todo) + len(failures.names)
    rows: list[tuple[str, Scores]] = []
    for ref, est, inside in todo:
        try:
            rows += score_file(ref, est, inside, failures, data_range=data_range, window=window)
        except Exception as error:  # one bad pair must not stop the others
            failures.add(str(est), error)
    if rows:
        shown = "" if window is None else f"{window[0]:g} to {window[1]:g}"
        failed = len(failures.names)
        for line in _as_json(rows, shown, failed) if as_json else _as_text(rows, shown, failed):
            print_line(line)
        if csv_file is not None:
            _keep(csv_file, _rows(rows, shown), failures)
        if plot is not None:
            _draw(plot, rows, failures)
    return failures.finish(total)


def _of_split(folder: Path, manifest: Path | None, split: Split) -> tuple[str, set[Path]]:
    """Return the counts of a folder's splits and the scans of one, for `files_of_split`; raise
    ValueError as training does for that folder.
    """
    from diff_medical.data.studies import find_study

    study = find_study(folder, manifest)
    return study.counts, {row.path.resolve() for row in study.rows if row.split == split}


def _calibrate(
    reference: Path,
    percents: list[float],
    crop: int,
    weights: Path | None,
    csv_file: Path | None,
    as_json: bool,
    failures: Failures,
) -> int:
    from diff_medical.enhancer.calibration import coverage, validation_scans
    from diff_medical.enhancer.enhancer import Enhancer

    rows: list[Coverage] = []
    paths: list[Path] = []
    try:
        paths = validation_scans(reference)
        enhancer = Enhancer.from_pretrained(weights)
    except ValueError as error:
        failures.add(str(reference), error)
        return 1
    if not paths:
        failures.add(str(reference), "no scans to try; give another folder")
    for path in paths:
        try:
            found = coverage(enhancer, path, percents, crop=crop)
        except Exception as error:  # one bad scan must not stop the others
            failures.add(str(path), error)
            continue
        rows += found
        for row in found:
            shape = " x ".join(map(str, row.shape))
            print_line(
                json.dumps(asdict(row))
                if as_json
                else f"{row.file}: noise {row.percent:g} % ({row.sigma:.4g})"
                f"{f', --dose {row.dose:.3f}' if row.dose else ''}: truth within 1 sd "
                f"{row.one:.1%}, within 2 sd {row.two:.1%}, rms error / sd {row.ratio:.2f}, "
                f"PSNR {row.psnr:.2f} dB  ({shape} voxels)"
            )
    if len(rows) > 1 and not as_json:
        mean = sum(row.two for row in rows) / len(rows)
        print(f"mean of {len(rows)}: truth within 2 sd {mean:.1%}")
    if rows and csv_file is not None:
        table = [{**asdict(row), "shape": "x".join(map(str, row.shape))} for row in rows]
        _keep(csv_file, table, failures)
    return failures.finish(max(1, len(paths)))


def _rows(rows: Sequence[tuple[str, Scores]], window: str) -> list[dict[str, object]]:
    return [{"file": name, **asdict(scores), "window": window} for name, scores in rows]


def _keep(path: Path, rows: Sequence[Mapping[str, object]], failures: Failures) -> None:
    from diff_core.files import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                texts = {key: cell(value) for key, value in row.items() if isinstance(value, str)}
                writer.writerow({**row, **texts})
    except OSError as error:
        failures.add(str(path), error)


def _draw(path: Path, rows: Sequence[tuple[str, Scores]], failures: Failures) -> None:
    from diff_core.command.score_plot import plot_scores
    from diff_medical.metrics.scores import BETTER

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plot_scores(
            {"all": [{n: min(getattr(s, n), _bounds(n)[1]) for n in BETTER} for _, s in rows]},
            BETTER,
            path,
        )
    except (OSError, ValueError) as error:
        failures.add(str(path), error)


def _as_json(rows: Sequence[tuple[str, Scores]], window: str, failed: int) -> Iterator[str]:
    """JSON has no NaN and no infinity: null for the one, "inf" for the other."""
    from diff_core.evaluate import summarise
    from diff_medical.metrics.scores import METRICS

    def strict(row: Mapping[str, object]) -> str:
        return json.dumps({name: _strict(value) for name, value in row.items()})

    for row in _rows(rows, window):
        yield strict(row)
    for metric in METRICS if len(rows) > 1 else ():
        found = summarise([getattr(scores, metric) for _, scores in rows], *_bounds(metric))
        yield strict({"metric": metric, **asdict(found), "failed": failed})


def _strict(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def _bounds(metric: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a score in a mean: identical scans have 100 dB,
    so that one of them does not hide all others.
    """
    return -math.inf, 100.0 if metric == "psnr" else math.inf


def _as_text(rows: Sequence[tuple[str, Scores]], window: str, failed: int) -> Iterator[str]:
    from diff_core.evaluate import summarise
    from diff_medical.metrics.scores import METRICS

    units = {"psnr": " dB"}
    shown = f"window {window}; " if window else ""
    for name, s in rows:
        yield (
            f"{name}: PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.4f}, 2-D {s.ssim_2d:.4f}, "
            f"MS-SSIM {s.ms_ssim:.4f}, NMSE {s.nmse:.5f}, MAE {s.mae:.5g}, edges {s.edges:.3f}"
            f"  (data range {s.data_range:.6g}; {shown}mask: {s.mask}; {s.voxels:,} voxels; "
            f"{s.dims}-D SSIM; {s.scales} scales{OF_MASK if s.masked else ''})"
        )
    if len(rows) > 1:
        ranges = sorted({s.data_range for _, s in rows})
        span = f"{ranges[0]:.6g}" + (f" to {ranges[-1]:.6g}" if len(ranges) > 1 else "")
        masks = sorted({s.mask for _, s in rows})
        dims = sorted({s.dims for _, s in rows})
        yield (
            f"mean over {len(rows)} volumes{f', {failed} failed' if failed else ''}, 95 % interval"
            f"  (data range {span}; {shown}mask: "
            f"{masks[0] if len(masks) == 1 else 'one a file'}; "
            f"{' or '.join(f'{d}-D' for d in dims)} SSIM"
            f"{OF_MASK if any(s.masked for _, s in rows) else ''})"
        )
        for metric in METRICS:
            found = summarise([float(getattr(s, metric)) for _, s in rows], *_bounds(metric))
            beyond = f"; {found.bounded} of {found.count} count as 100 dB" if found.bounded else ""
            none = f"; {found.undefined} without this score" if found.undefined else ""
            yield (
                f"  {metric.upper()} {found.mean:.5g}{units.get(metric, '')} "
                f"[{found.low:.5g}, {found.high:.5g}]{beyond}{none}"
            )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
