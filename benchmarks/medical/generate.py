r"""What the generator makes, measured: fidelity, usefulness, copies, speed.

    python benchmarks/medical/generate.py --data DIR --save DIR \
        [--only SECTION ...] [--into docs/medical/audit.md]

DIR of --data holds scans and a manifest, as for training. --number samples are drawn in the
mixture of kinds of the training data, in --steps steps, and kept below --save with the cut scans,
for another run. Sections:

fidelity    the samples beside other real people, held-out people, a normal distribution (PCA, all
            components), a small VAE trained in the same run, and training slices slightly altered;
            real is one half of the training people of each kind (`diff_medical.fidelity`)
usefulness  a small classifier of modality trained on samples, beside one trained on as many real
            slices of each kind; both judged on held-out slices, classes weighing alike
audit       `diff_medical.audit` of the samples
volumes     how like a training volume those of the shipped model are, beside how like two people
            of a kind are: no volume is held out, so there is no audit
speed       seconds a slice, and of a volume where weights for it are there; peak memory
            of the whole command, one process, --threads threads
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from generate_work import Work, mixture
from numpy.typing import NDArray
from small_networks import classify, train_vae

from diff_core.files import replacing
from diff_medical.audit.compare import compare
from diff_medical.audit.match import detail, paired
from diff_medical.audit.report import lines
from diff_medical.fidelity.rivals import augmented, gaussian
from diff_medical.fidelity.summary import Summary
from diff_medical.fidelity.table import measure, table
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.tone import BRIGHT, encode
from diff_medical.image_sets.features import selection_of
from diff_medical.image_sets.images import Images
from diff_medical.image_sets.matched import halved, matched
from diff_medical.image_sets.read import cutting_of, read_real
from diff_medical.weights import path_of

SECTIONS = ("fidelity", "usefulness", "audit", "volumes", "speed")
RUNS = 20  # of the classifier, with other seeds
BOOTSTRAPS = 2000
VOLUMES = 24


def main() -> None:
    """Parses the options, runs the sections, prints CPU seconds after each."""
    options = _options()
    torch.set_num_threads(options.threads)
    work = Work(options)
    for section in options.only:
        begun = time.process_time()
        said = "\n".join(SECTION[section](work))
        seconds = time.process_time() - begun
        print(f"\n## {section} ({seconds:.0f} CPU s)\n\n{said}", flush=True)
        if options.into is not None:
            put(options.into, section, said)


def put(page: Path, section: str, said: str) -> None:
    """Replaces what stands between the marks of a section in a page of the documentation.

    Raises ValueError if the page has no such marks.
    """
    text = page.read_text(encoding="utf-8")
    first, last = f"<!-- generate: {section} -->\n", "<!-- end -->\n"
    start = text.find(first)
    end = text.find(last, start)
    if start < 0 or end < 0:
        raise ValueError(f"{page} has no {first.strip()} and {last.strip()}")
    made = f"{text[: start + len(first)]}```text\n{said}\n```\n{text[end:]}"
    with replacing(page) as temporary:
        temporary.write_text(made, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--save", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--steps", type=int, default=18, help="of the sampler")
    parser.add_argument("--most", type=int, default=100, help="images of each set in fidelity")
    parser.add_argument("--vae-seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="docs/medical/audit.md, to be brought up to date"
    )
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def fidelity(work: Work) -> list[str]:
    """One table of the kinds with scans of several people, and one of those that are held out."""
    options = work.options
    train, heldout = work.scans
    real, other = halved(train)
    sets = {"real": real, "samples": work.samples, "other people": other}
    rows, counts = matched(sets, options.most, options.seed)
    images = {name: sets[name].part(index) for name, index in rows.items()}
    like = images["real"]
    kinds = sorted({like.kind(i) for i in range(len(like))})
    of_kinds = train.part(
        np.array([i for i in range(len(train)) if train.kind(i) in kinds], np.int64)
    )
    vae = train_vae(of_kinds.values, _numbers(of_kinds, kinds), options.vae_seconds, options.seed)
    told = np.eye(len(kinds), dtype=np.float32)[_numbers(like, kinds)]
    drawn = vae.draw(torch.from_numpy(told), like.values.shape[1], options.seed)
    images |= {
        "PCA-Gaussian": gaussian(of_kinds, like, options.seed),
        "VAE": Images(drawn, like.entries),
        "altered training": augmented(of_kinds, like, options.seed),
    }
    made = ["real: one half of the training people; " + _said(counts) + "; 95 % intervals", ""]
    made += _table(work, images)
    sets = {"real": train, "samples": work.samples, "held-out people": heldout}
    rows, counts = matched(sets, options.most, options.seed)
    made += ["", "real: all training people; " + _said(counts), ""]
    return made + _table(work, {name: sets[name].part(index) for name, index in rows.items()})


def _table(work: Work, images: dict[str, Images]) -> list[str]:
    found = {
        name: Summary.of(part.values, work.features(part), work.options.seed)
        for name, part in images.items()
    }
    size = images["real"].values.shape[1]
    measured = {
        name: measure(found["real"], summary, size, seed=work.options.seed)
        for name, summary in found.items()
    }
    itself = measured.pop("real")
    own = f"slope of real: {itself['slope']}; MS-SSIM of its pairs: {itself['ms_ssim']}"
    return [*table(measured), own]


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _numbers(images: Images, kinds: Sequence[object]) -> NDArray[np.int64]:
    return np.array([kinds.index(images.kind(i)) for i in range(len(images))], np.int64)


def usefulness(work: Work) -> list[str]:
    """Accuracy on held-out slices after training on samples, on real ones, and their ratio."""
    train, heldout = work.scans
    samples = work.samples
    known = sorted({samples.kind(i)[0] for i in range(len(samples))})
    tested = np.array([i for i in range(len(heldout)) if heldout.kind(i)[0] in known], np.int64)
    judged = heldout.part(tested)
    rng = np.random.default_rng(work.options.seed)
    own = [rng.choice(np.concatenate(train.people(samples.kind(i)))) for i in range(len(samples))]
    truth = _modalities(judged, known)
    weight = 1 / np.bincount(truth, minlength=len(known))[truth]
    right: dict[str, NDArray[np.floating]] = {}
    made: list[str] = []
    for name, images in {"samples": samples, "real": train.part(np.array(own))}.items():
        labels = _modalities(images, known)
        runs = [
            classify(images.values, labels, judged.values, seed=seed) == truth
            for seed in range(RUNS)
        ]
        right[name] = np.mean(runs, 0)
        accuracy = np.average(right[name], weights=weight)
        made.append(f"trained on {len(images)} {name}: balanced accuracy {accuracy:.1%}")
    resampled = rng.integers(len(truth), size=(BOOTSTRAPS, len(truth)))
    ratios = [
        np.average(right["samples"][r], weights=weight[r])
        / np.average(right["real"][r], weights=weight[r])
        for r in resampled
    ]
    low, high = np.quantile(ratios, [0.025, 0.975])
    whole = np.average(right["samples"], weights=weight) / np.average(
        right["real"], weights=weight
    )
    classes = ", ".join(f"{int((truth == c).sum())} {known[c]}" for c in sorted(set(truth)))
    made += [
        f"ratio {whole:.3f} [{low:.3f}, {high:.3f}] (bootstrap over slices)",
        f"{len(known)} classes to choose from; judged on held-out {classes} slices of "
        f"{len({e.subject for e in judged.entries})} people; mean of {RUNS} trainings",
    ]
    return made


def _modalities(images: Images, known: Sequence[str]) -> NDArray[np.int64]:
    return np.array([known.index(images.kind(i)[0]) for i in range(len(images))], np.int64)


def audit(work: Work) -> list[str]:
    """The table of the audit, and its verdict."""
    train, heldout = work.scans
    verdict = compare(work.samples, train, heldout, work.features)
    said = "PASSED" if verdict.passed else "FAILED: " + "; ".join(verdict.reasons)
    return [*lines(verdict, work.samples, train, heldout), said]


def volumes(work: Work) -> list[str]:
    """Registered correlations of detail, `diff_medical.audit.match`, without mirroring."""
    generator = Generator.from_pretrained(path_of("generate_volume"), device="cpu")
    card, options = generator.card, work.options
    cutting = cutting_of(card.recipe, generator.size, generator.spatial, generator.thickness)
    real = read_real(options.data, options.manifest, selection_of(card), cutting, lambda _: None)
    requests = mixture(generator, VOLUMES, options.seed)
    sampling = Sampling(options.steps, seed=options.seed, batch=4)
    tones = [
        encode(m.values, m.request.modality, bright=BRIGHT) for m in generator(requests, sampling)
    ]
    samples, scans = (detail(np.stack(part).astype(np.float32)) for part in (tones, real.values))

    def alike(one: NDArray[np.float32], others: list[int]) -> float:
        return float(paired(np.stack([one] * len(others)), scans[others]).max())

    nearest, between = [], []
    for sample, request in zip(samples, requests, strict=True):
        people = real.people((request.modality, request.body, ""))
        nearest.append(alike(sample, [int(i) for person in people for i in person]))
    for kind in dict.fromkeys(real.kind(i) for i in range(len(real))):
        people = real.people(kind)
        for number, person in enumerate(people):
            rest = [int(i) for other in people[number + 1 :] for i in other]
            between += [alike(scans[int(i)], rest) for i in person if rest]
    return [
        f"{VOLUMES} volumes, most alike training volume of the kind: median "
        f"{np.median(nearest):.2f}, {min(nearest):.2f} to {max(nearest):.2f}",
        f"two people of a kind: at most {max(between):.2f}",
        f"more alike than any two people: {sum(n > max(between) for n in nearest)} of {VOLUMES}",
    ]


def speed(work: Work) -> list[str]:
    """Of whole commands in processes of their own, and of the calls in this one."""
    generator, options = work.generator, work.options
    request = generator.choices()[0]
    generator([request], Sampling(steps=1))
    begun, cpu = time.perf_counter(), time.process_time()
    generator([request] * 4, Sampling(options.steps, batch=4))
    wall, cpu = (time.perf_counter() - begun) / 4, (time.process_time() - cpu) / 4
    side = generator.size
    made = [
        f"a {side} x {side} slice, {options.steps} steps: {wall:.2f} s, {cpu:.2f} CPU s, of four "
        f"at once, threads: {options.threads}",
        _command("slice", [], options),
    ]
    if (path_of("generate_volume")).is_file():
        made.append(_command("volume", ["--volume"], options))
    return made


def _command(name: str, extra: Sequence[str], options: argparse.Namespace) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "diff_medical.generate", "-o", folder, "--quiet"]
        command += ["--threads", str(options.threads), *extra]
        if options.weights is not None and not extra:
            command += ["--weights", str(options.weights)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return (
            f"the whole command for a {name}: {wall:.1f} s, {cpu:.1f} CPU s, peak memory of the "
            f"largest so far {after.ru_maxrss / 2**20:.2f} GiB"
        )


SECTION = {
    "fidelity": fidelity, "usefulness": usefulness, "audit": audit, "volumes": volumes,
    "speed": speed,
}  # fmt: skip

if __name__ == "__main__":
    main()
