"""`python -m diff_medical.fidelity --real DIR --samples DIR`: how like real scans are they?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_core.command import App, Failures, bar, options, run, use
from diff_core.lines import print_line
from diff_medical.image_sets import options as sets

if TYPE_CHECKING:
    from diff_core.command import Bar
    from diff_medical.fidelity.table import Value

__all__ = ["app", "main"]

COMMAND = "diff_medical.fidelity"

app = App()


@app.command(
    examples={
        "--real scans/ --samples out/": "Measure how far samples are from real scans.",
        "--real scans/ --samples out/ --json": "Print the same as one JSON object.",
        "--brains --real prepared/ --samples out/": "Measure brains that have label maps.",
    }
)
def fidelity(
    real: Annotated[Path, typer.Option(help="Folder of real scans, of two people at least.")],
    samples: sets.Samples,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder of other real scans, to be measured like the samples. Default: one half "
            "of the people of REAL, the other half being real."
        ),
    ] = None,
    manifest: sets.Manifest = None,
    subject: sets.Subject = "",
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="Features of your own: arrays `real`, `samples` and `reference`, a row an image. "
            "Default: those of the generator's network.",
        ),
    ] = None,
    volume: sets.Volume = False,
    brains: sets.Brains = False,
    weights: sets.Weights = None,
    most: Annotated[int, typer.Option(min=12, help="Most images of each set.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the choice of images.")] = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: sets.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-medical")] = False,
) -> int:
    """Measure generated scans against real ones.

    Frechet distance, kernel MMD, precision, recall, density and coverage of named features;
    MS-SSIM of pairs; grey levels; power spectrum. Beside the samples: real scans, a normal
    distribution fitted to the real ones, and the real ones slightly altered. All sets are cut to
    the same number of images of each kind. Numbers of different features, kinds or numbers of
    images cannot be compared.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    del version
    if features is not None and reference is None:
        raise typer.BadParameter("--features takes --reference too, so that rows can be matched")
    failures = Failures(COMMAND, debug=debug)
    use(device, threads)
    if brains:
        if reference or features or volume or manifest or subject or weights:
            raise typer.BadParameter("--brains goes with --real, --samples and --seed alone")
        return _brains(real, samples, seed, failures, as_json=as_json, quiet=quiet)
    given = _Given(real, samples, reference, manifest, subject, features, volume, weights, most,
                   seed)  # fmt: skip
    try:
        with bar(1.0, quiet=quiet or as_json) as progress:
            named, rows, counts = _measured(given, device, failures, progress)
    except Exception as error:  # told in one line
        failures.add(str(samples), error)
        return 1
    from diff_medical.fidelity.table import table

    if as_json:
        values = {n: {k: asdict(v) for k, v in row.items()} for n, row in rows.items()}
        print(json.dumps({"features": named, "images": counts, "sets": values}))
    else:
        said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print_line(f"features: {named}; images of each set: {said}; 95 % intervals")
        for line in table(rows):
            print_line(line)
    return 0


def _brains(
    real: Path, samples: Path, seed: int, failures: Failures, *, as_json: bool, quiet: bool
) -> int:
    """Compare brains with label maps, and print the table; return the exit code."""
    from diff_medical.fidelity.brains import compare, read_brains

    try:
        with bar(2.0, quiet=quiet or as_json) as progress:
            people = read_brains(real, lambda done: progress.at(done, "real brains"))
            made = read_brains(samples, lambda done: progress.at(1 + done, "samples"))
        found = compare(people, made, seed=seed)
    except Exception as error:  # told in one line
        failures.add(str(samples), error)
        return 1
    counts = {"real": len(people.values), "samples": len(made.values)}
    if as_json:
        print(json.dumps({"brains": counts, **asdict(found)}))
        return 0
    print_line(f"{len(people.names)} features; {counts['real']} real brains, {counts['samples']} "
               "samples; 95 % of cuts into halves, or of brains")  # fmt: skip
    for line in found.lines():
        print_line(line)
    return 0


def _features(path: Path) -> list[Any]:
    """The arrays `real`, `samples` and, where it is there, `reference` of a file of numpy."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in ("real", "samples", "reference") if name in file]
    except OSError:
        raise
    except Exception as error:  # numpy parses headers as Python, whose errors are many
        raise ValueError(
            f"{path} is no .npz file, or damaged; write it with numpy.savez"
        ) from error


@dataclass(frozen=True)
class _Given:
    """The options of a measurement."""

    real: Path
    samples: Path
    reference: Path | None
    manifest: Path | None
    subject: str
    features: Path | None
    volume: bool
    weights: Path | None
    most: int
    seed: int


def _measured(
    given: _Given, device: str, failures: Failures, progress: Bar
) -> tuple[str, dict[str, dict[str, Value]], dict[str, int]]:
    """The features' name, the rows of the table, and images of each kind."""

    from diff_medical.fidelity.rivals import augmented, gaussian
    from diff_medical.fidelity.summary import Summary
    from diff_medical.fidelity.table import measure
    from diff_medical.generator.model import Generator
    from diff_medical.image_sets.features import network_features, selection_of
    from diff_medical.image_sets.matched import halved, matched
    from diff_medical.image_sets.read import (
        Sources,
        cutting_of,
        find_samples,
        read_real,
        read_samples,
        read_scans,
    )

    generator = Generator.from_pretrained(given.weights, volume=given.volume, device=device)
    cutting = cutting_of(
        generator.card.recipe, generator.size, generator.spatial, generator.thickness
    )
    selection = selection_of(generator.card, given.subject)

    def warn(text: str) -> None:
        failures.warn("note", text)

    progress.at(0.0, "reading")
    files = find_samples(given.samples)
    if given.reference is None:
        everyone = read_real(given.real, given.manifest, selection, cutting, warn)
        real, reference = halved(everyone)
    else:
        sources = Sources(given.real, given.reference, given.manifest, selection)
        real, reference = read_scans(sources, files, cutting, warn)
    made = read_samples(files, cutting, warn)
    own: Any = None
    if given.features is not None:
        own = _features(given.features)
        counts = [len(real), len(made), len(reference)]
        if [len(array) for array in own] != counts[: len(own)] or len(own) < 2:
            raise ValueError(
                f"{given.features} has arrays of {[len(a) for a in own]} rows; expected real, "
                f"samples and reference of {counts} rows"
            )
    sets = {"real": real, "samples": made, "reference": reference}
    rows, counts = matched(sets, given.most, given.seed)
    images = {name: sets[name].part(index) for name, index in rows.items()}
    name = str(given.features) if own is not None else f"network of {generator.card.name}"
    if own is None:
        images |= {
            "normal distribution": gaussian(real, images["real"], given.seed),
            "altered real": augmented(real, images["real"], given.seed),
        }
    summaries: dict[str, Summary] = {}
    for number, (label, part) in enumerate(images.items()):
        progress.at(0.1 + 0.8 * number / len(images), label)
        if own is None:
            found = network_features(generator, part)
        else:
            found = own[["real", "samples", "reference"].index(label)][rows[label]]
        summaries[label] = Summary.of(part.values, found, given.seed)
    progress.at(0.9, "measuring")
    size = images["real"].values.shape[1]
    labels = {"samples": "samples", "reference": "other real"}
    measured = {
        labels.get(label, label): measure(summaries["real"], summary, size, seed=given.seed)
        for label, summary in summaries.items()
        if label != "real"
    }
    return name, measured, counts


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
