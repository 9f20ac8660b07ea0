"""`python -m diff_medical.audit --train DIR --heldout DIR --samples DIR`: are there copies?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_core.command import App, Failures, bar, options, require_new, run, use
from diff_core.lines import print_line
from diff_medical.image_sets import options as sets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diff_core.command import Bar
    from diff_medical.audit.compare import Settings
    from diff_medical.image_sets.images import Images

__all__ = ["app", "main"]

COMMAND = "diff_medical.audit"
LEAST = 20  # images, of samples and of held-out scans
LEAST_VOLUMES = 8
SHARE_OF_READING = 0.1

app = App()


@app.command(
    examples={
        "--train scans/ --heldout others/ --samples out/": "Look for copies among the samples.",
        "--train scans/ --heldout others/ --samples out/ -o audit/": "Keep the record and the "
        "pairs that are most alike.",
        "--brains --train prepared/ --heldout prepared/ --samples out/": "Audit brains with label "
        "maps against the people that the folder holds for training, and its others.",
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
    brains: sets.Brains = False,
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

    Every sample is compared with every training scan, by features and by registered correlation,
    whole and in patches, and set against held-out scans of other people. The features are the
    generator's own; of brains they are volumes, grey levels and the like.
    The audit fails if samples are nearer to training than to held-out scans, or any is a copy.
    A pass is no proof of privacy. Nothing is uploaded, inputs are not changed.

    Exit code: 0 passed, 1 failed, 2 wrong usage or no verdict.
    """
    del version
    failures = Failures(COMMAND, debug=debug)
    if output is not None:
        require_new(output / "audit.json", output / "worst.png", overwrite=overwrite)
    use(device, threads)
    given = _Given(train, heldout, samples, manifest, subject, volume, weights)
    if brains and given.asks_a_network:
        raise typer.BadParameter("--brains asks no network; it goes without --volume, --weights, "
                                 "--manifest and --subject")  # fmt: skip
    from diff_medical.audit.compare import Settings

    settings = Settings(draws=draws, seed=seed)
    try:
        if card is not None:
            from diff_core.io import read_card

            read_card(card)  # before the work, not after
        with bar(1.0, quiet=quiet or as_json) as progress:
            progress.at(0.0, "reading")
            task = (
                _brains(given, settings, progress)
                if brains
                else _scans(given, settings, device, failures, progress)
            )
            result = _audit(task, output, card, failures, progress)
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
    """The options that say what is audited."""

    train: Path
    heldout: Path
    samples: Path
    manifest: Path | None
    subject: str
    volume: bool
    weights: Path | None

    @property
    def asks_a_network(self) -> bool:
        """True where an option is given that `--brains` has no use for."""
        return bool(self.manifest or self.subject or self.volume or self.weights)


@dataclass(frozen=True)
class _Task:
    """The images that are compared, their features, and what the record says of them."""

    samples: Images
    train: Images
    heldout: Images
    features: Callable[[Images], NDArray[np.float32]]
    settings: Settings
    context: dict[str, Any]

    def check(self, least: int) -> None:
        """Raise ValueError for fewer images of a set than that."""
        for images, what in (
            (self.samples, "samples"),
            (self.heldout, "held-out images"),
            (self.train, "train images"),
        ):
            if len(images) < least:
                raise ValueError(
                    f"{len(images)} {what}; an audit takes at least {least}, or chance decides"
                )


def _brains(given: _Given, settings: Settings, progress: Bar) -> _Task:
    from diff_medical.audit.brains import read_sets

    found = read_sets(
        given.train,
        given.heldout,
        given.samples,
        lambda share: progress.at(SHARE_OF_READING * share, "reading"),
    )
    settings = found.settings(settings.draws, settings.seed)
    context = {"features": "of brains and label maps"}
    task = _Task(found.samples, found.train, found.heldout, found.features, settings, context)
    task.check(LEAST_VOLUMES)
    return task


def _scans(
    given: _Given, settings: Settings, device: str, failures: Failures, progress: Bar
) -> _Task:
    from diff_medical.generator.model import Generator
    from diff_medical.image_sets.features import network_features, selection_of
    from diff_medical.image_sets.read import (
        Sources,
        cutting_of,
        find_samples,
        read_samples,
        read_scans,
    )

    generator = Generator.from_pretrained(given.weights, volume=given.volume, device=device)
    cutting = cutting_of(
        generator.card.recipe, generator.size, generator.spatial, generator.thickness
    )
    sources = Sources(
        given.train, given.heldout, given.manifest, selection_of(generator.card, given.subject)
    )

    def warn(text: str) -> None:
        failures.warn("note", text)

    files = find_samples(given.samples)
    train, heldout = read_scans(sources, files, cutting, warn)
    samples = read_samples(files, cutting, warn)
    context = {"model": generator.card.name, "fingerprint": generator.fingerprint}
    task = _Task(
        samples, train, heldout, lambda images: network_features(generator, images), settings,
        context,
    )  # fmt: skip
    task.check(LEAST if generator.spatial == 2 else LEAST_VOLUMES)
    return task


def _audit(
    task: _Task, output: Path | None, card: Path | None, failures: Failures, progress: Bar
) -> dict[str, Any]:
    """Compares and writes; returns what is printed."""
    from diff_core.files import write_json
    from diff_medical.audit import report
    from diff_medical.audit.compare import compare

    begun = time.monotonic()
    samples, train, heldout, settings = task.samples, task.train, task.heldout, task.settings
    verdict = compare(
        samples, train, heldout, task.features, settings,
        progress=lambda share: progress.at(
            SHARE_OF_READING + (1 - SHARE_OF_READING) * share, "comparing"
        ),
    )  # fmt: skip
    if not verdict.nearer:
        failures.warn(
            "note", "no held-out scans are of the samples' kinds: only copies were looked for"
        )
    context = {
        **task.context,
        "pixels": list(samples.values.shape[1:]),
        "seed": settings.seed,
        "draws": settings.draws,
    }
    record = report.record(verdict, samples, train, heldout, context)
    record["seconds"] = round(time.monotonic() - begun, 1)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "audit.json", record)
        report.picture(output / "worst.png", verdict, samples, train)
    if card is not None:
        report.write_card(card, report.scores(verdict, samples))
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
