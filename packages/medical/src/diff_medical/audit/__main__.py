"""`python -m diff_medical.audit --train DIR --heldout DIR --samples DIR`: are there copies?"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_core.command import App, Failures, bar, options, require_new, run, use
from diff_core.lines import print_line
from diff_medical.image_sets import options as sets

if TYPE_CHECKING:
    from diff_core.command import Bar
    from diff_medical.audit.compare import Settings

__all__ = ["app", "main"]

COMMAND = "diff_medical.audit"
LEAST = 20  # images, of samples and of held-out scans
LEAST_VOLUMES = 8

app = App()


@app.command(
    examples={
        "--train scans/ --heldout others/ --samples out/": "Look for copies among the samples.",
        "--train scans/ --heldout others/ --samples out/ -o audit/": "Keep the record and the "
        "pairs that are most alike.",
    }
)
def audit(
    train: Annotated[Path, typer.Option(help="The folder of the training scans.")],
    heldout: Annotated[Path, typer.Option(help="A folder of like scans of other people.")],
    samples: sets.Samples,
    manifest: sets.Manifest = None,
    subject: sets.Subject = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder for audit.json and worst.png; made if need be."
        ),
    ] = None,
    volume: sets.Volume = False,
    weights: sets.Weights = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of as many train people as are held out.")
    ] = 25,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the draws.")] = 0,
    card: Annotated[
        Path | None,
        typer.Option(
            "--write-card", metavar="CHECKPOINT", help="Put the result into this model's card."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: sets.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdict and errors.")] = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Audit generated scans: do they repeat scans of training?

    Every sample is compared with every training scan, by the generator's own features and by
    registered correlation, whole and in patches, and set against held-out scans of other people.
    The audit fails if samples are nearer to training than to held-out scans, or any is a copy.
    A pass is no proof of privacy. Nothing is uploaded, inputs are not changed.

    Exit code: 0 passed, 1 failed, 2 wrong usage or no verdict.
    """
    del version
    failures = Failures(COMMAND, debug=debug)
    if output is not None:
        require_new(output / "audit.json", output / "worst.png", overwrite=overwrite)
    use(device, threads)
    from diff_medical.audit.compare import Settings

    try:
        settings = Settings(draws=draws, seed=seed)
        given = _Given(train, heldout, samples, manifest, subject, volume, weights, output, card)
        with bar(1.0, quiet=quiet or as_json) as progress:
            result = _audit(given, settings, device, failures, progress)
    except Exception as error:  # no verdict, told in one line
        failures.add(str(samples), error)
        return 2
    if as_json:
        print(json.dumps(result["record"]))
    else:
        for line in [] if quiet else result["lines"]:
            print_line(line)
        print_line(result["verdict"])
    return 0 if result["record"]["passed"] else 1


@dataclass(frozen=True)
class _Given:
    """The options of an audit."""

    train: Path
    heldout: Path
    samples: Path
    manifest: Path | None
    subject: str
    volume: bool
    weights: Path | None
    output: Path | None
    card: Path | None


def _audit(
    given: _Given, settings: Settings, device: str, failures: Failures, progress: Bar
) -> dict[str, Any]:
    """Reads, compares, writes; returns what is printed."""
    from diff_core.files import write_json
    from diff_core.io import read_card
    from diff_medical.audit import report
    from diff_medical.audit.compare import compare
    from diff_medical.generator.model import Generator
    from diff_medical.image_sets.features import network_features, selection_of
    from diff_medical.image_sets.read import (
        Sources,
        cutting_of,
        find_samples,
        read_samples,
        read_scans,
    )

    begun = time.monotonic()
    generator = Generator.from_pretrained(given.weights, volume=given.volume, device=device)
    if given.card is not None:
        read_card(given.card)  # before the work, not after
    cutting = cutting_of(
        generator.card.recipe, generator.size, generator.spatial, generator.thickness
    )
    sources = Sources(
        given.train, given.heldout, given.manifest, selection_of(generator.card, given.subject)
    )

    def warn(text: str) -> None:
        failures.warn("note", text)

    progress.at(0.0, "reading")
    files = find_samples(given.samples)
    train, heldout = read_scans(sources, files, cutting, warn)
    samples = read_samples(files, cutting, warn)
    least = LEAST if generator.spatial == 2 else LEAST_VOLUMES
    for images, what in (
        (samples, "samples"),
        (heldout, "held-out images"),
        (train, "train images"),
    ):
        if len(images) < least:
            raise ValueError(
                f"{len(images)} {what}; an audit takes at least {least}, or chance decides"
            )
    progress.at(0.1, "comparing")
    verdict = compare(
        samples, train, heldout,
        lambda images: network_features(generator, images),
        settings,
        progress=lambda share: progress.at(0.1 + 0.9 * share, "comparing"),
    )  # fmt: skip
    if not verdict.nearer:
        failures.warn(
            "note", "no held-out scans are of the samples' kinds: only copies were looked for"
        )
    context = {
        "model": generator.card.name,
        "fingerprint": generator.fingerprint,
        "pixels": list(samples.values.shape[1:]),
        "seed": settings.seed,
        "draws": settings.draws,
    }
    record = report.record(verdict, samples, train, heldout, context)
    record["seconds"] = round(time.monotonic() - begun, 1)
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        write_json(given.output / "audit.json", record)
        report.picture(given.output / "worst.png", verdict, samples, train)
    if given.card is not None:
        report.write_card(given.card, report.scores(verdict, samples))
    said = "PASSED: no sign of copying was found, which proves no privacy"
    if not verdict.passed:
        said = "FAILED: " + "; ".join(verdict.reasons)
    lines = report.lines(verdict, samples, train, heldout)
    return {"record": record, "lines": lines, "verdict": said}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
