"""What the training engine costs: over a bare loop, in two processes, and in memory over time.

    python benchmarks/core/training.py [--steps 120] [--rounds 3] [--part memory]

The same network (a 2-D U-Net on 64 x 64 pictures, batches of 8, one thread) is trained by
`diff_core.train.train` and by a loop written out here that does the same: AdamW, clipping, mean.
Their steps alternate in one process, so that a busy machine is as busy for both.

Two processes are two times faster at most. On a machine that others use, the wall clock says
little: processor time a sample, to which the exchange of gradients adds, is printed beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from diff_core import Cosine, FromX0
from diff_core.evaluate import snr_loss
from diff_core.io import Card, save
from diff_core.nn import UNet
from diff_core.train import Denoising, TrainConfig, learning_rate, train

SIZE, BATCH = 64, 8


class Pictures:
    """Random pictures; item i is a function of i."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        return {"x_0": torch.randn(1, SIZE, SIZE, generator=generator)}


def network() -> FromX0:
    """Untrained, always the same."""
    torch.manual_seed(0)
    return FromX0(UNet(2, 1, 1, (32, 64, 96), blocks=1), Cosine())


def config(steps: int) -> TrainConfig:
    """Of all runs."""
    return TrainConfig(steps, BATCH, precision="float32", warmup=10, checkpoint_every=100)


class Bare:
    """A loop without an engine, one step at a time."""

    def __init__(self, settings: TrainConfig) -> None:
        self.settings, self.model = settings, network().train()
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, settings.learning_rate)

    def step(self, step: int) -> None:
        items = [Pictures()[step * BATCH + k] for k in range(BATCH)]
        batch = torch.utils.data.default_collate(items)
        self.optimizer.param_groups[0]["lr"] = learning_rate(self.settings, step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = Denoising()(self.model, batch, torch.Generator().manual_seed(step)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        float(loss.detach())
        with torch.no_grad():
            for average, new in zip(self.average, self.parameters, strict=True):
                average.lerp_(new, 1 - self.settings.ema)


class Interleaved(Pictures):
    """At the first item of each of the engine's steps: a bare step, and both their times."""

    def __init__(self, bare: Bare) -> None:
        self.bare = bare
        self.engine_times: list[float] = []
        self.bare_times: list[float] = []
        self.since: float | None = None

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index % BATCH == 0:
            now = time.process_time()
            if self.since is not None:
                self.engine_times.append(now - self.since)
            self.bare.step(index // BATCH)
            self.since = time.process_time()
            self.bare_times.append(self.since - now)
        return super().__getitem__(index)


def overhead(steps: int) -> None:
    """Prints processor time a step of the bare loop and the engine."""
    settings = config(steps)
    samples = Interleaved(Bare(settings))
    with tempfile.TemporaryDirectory() as folder:
        train(network(), Denoising(), samples, settings, directory=Path(folder))
    # the first steps allocate; the last has no successor that ends it
    engine, bare = samples.engine_times[5:], samples.bare_times[5:-1]
    ratios = [a / b for a, b in zip(engine, bare, strict=True)]
    print(f"| {len(engine)} steps each, alternating | CPU ms a step | ratio |")
    print("|---|---|---|")
    print(f"| bare loop | {1e3 * statistics.median(bare):.1f} | 1.000 |")
    print(
        f"| engine, median step | {1e3 * statistics.median(engine):.1f} "
        f"| {statistics.median(ratios):.3f} |"
    )
    total = sum(engine) / sum(bare)
    print(
        f"| engine, mean (a checkpoint every {settings.checkpoint_every} steps) "
        f"| {1e3 * statistics.mean(engine):.1f} | {total:.3f} |"
    )


class Timed(Pictures):
    """Says when the 20th step begins and when it is asked for the last."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.begun = self.cpu = 0.0

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        step, place = divmod(index, BATCH)
        if step == self.first and not self.begun:
            self.begun, self.cpu = time.monotonic(), time.process_time()
        if step == self.last and self.begun and place in (0, BATCH // 2):
            wall, cpu = time.monotonic() - self.begun, time.process_time() - self.cpu
            print(f"{wall} {cpu}", flush=True)
        return super().__getitem__(index)


def child(steps: int) -> None:
    """One process of a run; prints its times."""
    torch.set_num_threads(1)
    samples = Timed(10, steps - 1)
    with tempfile.TemporaryDirectory() as folder:
        train(network(), Denoising(), samples, config(steps), directory=Path(folder))


def launched(count: int, steps: int) -> tuple[float, float]:
    """Wall and processor seconds, summed over processes, of steps 10 to the last but one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(count):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        if count > 1:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": port}
            environment |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
            environment |= {"MASTER_ADDR": "127.0.0.1"}
        command = [sys.executable, __file__, "--child", "--steps", str(steps)]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        )
    found = [tuple(map(float, p.communicate()[0].split()[:2])) for p in processes]
    return max(wall for wall, _ in found), sum(cpu for _, cpu in found)


def scaling(steps: int, rounds: int) -> None:
    """Prints samples a second of one process and of two."""
    one, two = [], []
    for _ in range(rounds):  # in turn, for a machine that others use
        one.append(launched(1, steps))
        two.append(launched(2, steps))
    samples = (steps - 11) * BATCH
    print()
    print(f"| the same batches of {BATCH}, best of {rounds} | samples/s | CPU ms a sample |")
    print("|---|---|---|")
    for name, runs in (("1 process, 1 thread", one), ("2 processes, 1 thread each", two)):
        wall, cpu = (min(values) for values in zip(*runs, strict=True))
        print(f"| {name} | {samples / wall:.1f} | {1e3 * cpu / samples:.2f} |")
    wall, cpu = (min(run[k] for run in one) / min(run[k] for run in two) for k in (0, 1))
    print(f"| ratio | {wall:.2f} | {1 / cpu:.3f}: at most {2 * cpu:.2f} times faster |")


class Watched:
    """Pictures; notes the memory at the start of each step, in MiB.

    varied: every step has pictures of another size, 32 to 96 pixels, as speech has lengths

    used: what has been asked of the allocator (glibc) and not been given back
    held: what of the machine's memory the process holds by it: the same, what the allocator keeps
          to hand it out again, and Python's own; mapped files, which the system may drop, are not
    """

    def __init__(self, varied: bool) -> None:
        self.varied = varied
        self._library = ctypes.CDLL("libc.so.6")
        self._library.mallinfo2.restype = MallInfo
        self.used: list[float] = []
        self.held: list[float] = []

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index % BATCH == 0:
            found = self._library.mallinfo2()
            self.used.append((found.uordblks + found.hblkhd) / 2**20)
            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            (anonymous,) = (line for line in lines if line.startswith("Anonymous:"))
            self.held.append(int(anonymous.split()[1]) / 2**10)
        size = random.Random(index // BATCH).randrange(32, 97, 4) if self.varied else SIZE
        generator = torch.Generator().manual_seed(index)
        return {"x_0": torch.randn(1, size, size, generator=generator)}


class MallInfo(ctypes.Structure):
    """`struct mallinfo2` of <malloc.h>."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks "
        "keepcost".split()
    )


def memory(varied: bool, start: int = 60, steps: int = 200, window: int = 30) -> None:
    """Prints the memory early and `steps` later, with validations, weights and checkpoints.

    The first validation lies before `start`: modules that it loads, once, are no growth.
    """
    samples = Watched(varied)
    settings = replace(config(start + steps + window), checkpoint_every=50, validate_every=50)
    batch = {"x_0": torch.stack([Pictures()[index]["x_0"] for index in range(BATCH)])}

    def validate(average: FromX0, step: int) -> dict[str, float]:
        found = snr_loss(average, [batch], (-2.0, 0.0, 2.0), torch.Generator().manual_seed(0))
        return found.scores()

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        train(
            network(),
            Denoising(),
            samples,
            settings,
            directory=Path(folder),
            validate=validate,
            keep=lambda average, step: save(
                Path(folder, "weights.safetensors"), average, Card("")
            ),
        )
    print()
    sizes = "pictures of all sizes" if varied else "of one size"
    later = start + steps
    print(
        f"| MiB, {sizes}, {window} steps each | from step {start} | from step {later} | growth |"
    )
    print("|---|---|---|---|")
    for name, values, of in (
        ("in use, median", samples.used, statistics.median),
        ("held, median", samples.held, statistics.median),
        ("held, most", samples.held, max),
    ):
        early, late = (of(values[first : first + window]) for first in (start, start + steps))
        print(f"| {name} | {early:.2f} | {late:.2f} | {100 * (late / early - 1):+.2f} % |")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3, help="of one process and two")
    parser.add_argument(
        "--part", choices=("overhead", "scaling", "memory", "sizes"), help="only this"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.child:
        child(given.steps)
        return
    if given.part in (None, "overhead"):
        overhead(given.steps)
    if given.part in (None, "scaling"):
        scaling(max(30, given.steps // 3), given.rounds)
    if given.part in (None, "memory"):
        memory(varied=False)
    if given.part in (None, "sizes"):
        memory(varied=True)


if __name__ == "__main__":
    main()
