"""`python -m diff_medical.evaluate REF EST`: PSNR, SSIM, NMSE and MAE of scans against
references.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_core.command import Failures, run, version_of
from diff_medical.files import SCANS

if TYPE_CHECKING:
    from diff_medical.calibration import Coverage
    from diff_medical.metrics import Scores

__all__ = ["app", "main"]

COMMAND = "diff_medical.evaluate"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        print(version_of("diff-medical"))
        raise typer.Exit


@app.command()
def evaluate(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="Reference scan, or folder.")],
    estimate: Annotated[
        Path | None,
        typer.Argument(
            metavar="EST",
            help="Scan to score, or folder: files of the same name, with or without _enhanced.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Scan, or folder of scans named as REF: voxels other than 0 count."),
    ] = None,
    data_range: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Default: maximum - minimum of each reference."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print one CSV row for each file.")
    ] = False,
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
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> int:
    """Score scans against references, with data range, mask and dimensions stated.

    PSNR and SSIM are scikit-image's (SSIM: Gaussian window, sd 1.5 voxels, over all axes at once);
    NMSE is the squared error over the squared reference; MAE is in the scan's units. Over several
    files also the mean and its 95 % interval (Student's t over files). A series (4-D) counts as
    its volumes.

    Exit code: 0 all done, 1 some inputs failed, 2 wrong usage.
    """
    del version
    if data_range is not None and not data_range > 0:
        raise typer.BadParameter(f"--data-range is {data_range}; expected a positive number")
    failures = Failures(COMMAND, debug=debug)
    if calibration:
        if estimate is not None:
            raise typer.BadParameter("--calibration enhances REF itself: leave out EST")
        return _calibrate(reference, percent, crop, weights, as_csv, failures)
    if estimate is None:
        raise typer.BadParameter("EST is missing: the scan to score against REF")
    pairs = _pairs(reference, estimate, mask, failures)
    total = len(pairs) + len(failures.names)
    rows: list[tuple[str, Scores]] = []
    for ref, est, inside in pairs:
        try:
            rows += _score_file(ref, est, inside, data_range)
        except Exception as error:  # one bad pair must not stop the others
            failures.add(str(est), error)
    if rows:
        print(_as_csv(rows) if as_csv else _as_text(rows), end="")
    return failures.finish(total)


def _calibrate(
    reference: Path,
    percents: list[float],
    crop: int,
    weights: Path | None,
    as_csv: bool,
    failures: Failures,
) -> int:
    from diff_medical.calibration import coverage, validation_scans
    from diff_medical.enhancer import Enhancer

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
            rows += coverage(enhancer, path, percents, crop=crop)
        except Exception as error:  # one bad scan must not stop the others
            failures.add(str(path), error)
            continue
        if not as_csv:
            for row in rows[-len(percents) :]:
                print(
                    f"{row.file}: noise {row.percent:g} % ({row.sigma:.4g}): truth within 1 sd "
                    f"{row.one:.1%}, within 2 sd {row.two:.1%}, rms error / sd {row.ratio:.2f}, "
                    f"PSNR {row.psnr:.2f} dB  ({' x '.join(map(str, row.shape))} voxels)"
                )
    if rows and as_csv:
        print(_table(rows), end="")
    elif len(rows) > 1:
        mean = sum(row.two for row in rows) / len(rows)
        print(f"mean of {len(rows)}: truth within 2 sd {mean:.1%}")
    return failures.finish(max(1, len(paths)))


def _pairs(
    reference: Path, estimate: Path, mask: Path | None, failures: Failures
) -> list[tuple[Path, Path, Path | None]]:
    """Reference, estimate and mask of each comparison."""
    if not reference.is_dir():
        if estimate.is_dir() or (mask is not None and mask.is_dir()):
            raise typer.BadParameter("REF is one file: EST and --mask must be files too")
        return [(reference, estimate, mask)]
    if not estimate.is_dir():
        raise typer.BadParameter("REF is a folder: EST must be one too")
    found = {
        _key(path, estimate): path for path in sorted(estimate.rglob("*")) if SCANS.matches(path)
    }
    pairs: list[tuple[Path, Path, Path | None]] = []
    for ref in sorted(path for path in reference.rglob("*") if SCANS.matches(path)):
        est = found.get(_key(ref, reference))
        if est is None:
            failures.add(str(ref), f"has no counterpart in {estimate}; enhance it first")
            continue
        inside = mask / ref.relative_to(reference) if mask is not None and mask.is_dir() else mask
        pairs.append((ref, est, inside))
    if not pairs and not failures.names:
        failures.add(str(reference), "no .nii or .nii.gz files in this folder; give another")
    return pairs


def _key(path: Path, root: Path) -> str:
    stem, _ = SCANS.split(path.name)
    return path.relative_to(root).with_name(stem.removesuffix("_enhanced")).as_posix()


def _score_file(
    reference: Path, estimate: Path, mask: Path | None, data_range: float | None
) -> list[tuple[str, Scores]]:
    import numpy as np

    from diff_medical.metrics import score
    from diff_medical.nifti import ScanError, read

    ref, est = read(reference), read(estimate)
    inside = read(mask) if mask is not None else None
    for other in (est, inside):
        if other is not None and other.shape[:3] != ref.shape[:3]:
            raise ScanError(
                other.path,
                f"has shape {other.shape}, the reference {ref.shape}",
                "give scans of one grid",
            )
    if est.volumes != ref.volumes:
        raise ScanError(
            estimate, f"has {est.volumes} volumes, the reference {ref.volumes}", "give one series"
        )
    if not np.allclose(ref.image.affine, est.image.affine, atol=1e-3):
        print(
            f"{COMMAND}: {estimate}: note: its affine differs from the reference's",
            file=sys.stderr,
        )
    rows: list[tuple[str, Scores]] = []
    for index in range(ref.volumes):
        truth, found = ref.volume(index), est.volume(index)
        for scan, values in ((ref, truth), (est, found)):
            if not np.isfinite(values).all():
                count = int(np.count_nonzero(~np.isfinite(values)))
                raise ScanError(scan.path, f"{count:,} voxels are NaN or Inf", "repair it first")
        within = None
        if inside is not None:
            within = inside.volume(index if inside.volumes == ref.volumes else 0)
        name = str(estimate) + (f"[{index}]" if ref.volumes > 1 else "")
        rows.append(
            (name, score(truth, found, data_range=data_range, mask=within, mask_name=str(mask)))
        )
    return rows


def _as_csv(rows: list[tuple[str, Scores]]) -> str:
    import dataclasses

    return _written([{"file": name, **dataclasses.asdict(scores)} for name, scores in rows])


def _table(rows: Sequence[Coverage]) -> str:
    import dataclasses

    shaped = ({**dataclasses.asdict(r), "shape": "x".join(map(str, r.shape))} for r in rows)
    return _written(list(shaped))


def _written(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_text(rows: list[tuple[str, Scores]]) -> str:
    from diff_medical.metrics import METRICS, interval

    units = {"psnr": " dB", "ssim": "", "nmse": "", "mae": ""}
    lines: list[str] = []
    for name, s in rows:
        lines.append(
            f"{name}: PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.4f}, NMSE {s.nmse:.5f}, MAE {s.mae:.5g}"
            f"  (data range {s.data_range:.6g}; mask: {s.mask}; {s.voxels:,} voxels; "
            f"{s.dims}-D SSIM)"
        )
    if len(rows) > 1:
        ranges = sorted({s.data_range for _, s in rows})
        span = f"{ranges[0]:.6g}" + (f" to {ranges[-1]:.6g}" if len(ranges) > 1 else "")
        masks = sorted({s.mask for _, s in rows})
        dims = sorted({s.dims for _, s in rows})
        lines.append(
            f"mean over {len(rows)} volumes, 95 % interval  (data range {span}; mask: "
            f"{masks[0] if len(masks) == 1 else 'one a file'}; "
            f"{' or '.join(f'{d}-D' for d in dims)} SSIM)"
        )
        for metric in METRICS:
            found = interval([float(getattr(s, metric)) for _, s in rows])
            lines.append(
                f"  {metric.upper()} {found.mean:.5g}{units[metric]} "
                f"[{found.low:.5g}, {found.high:.5g}]"
            )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
