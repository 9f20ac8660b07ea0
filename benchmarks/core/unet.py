"""Speed and memory of the U-Net beside MONAI's and diffusers', forward and backward.

    python benchmarks/core/unet.py [--rounds 7] [--threads 2] [--spatial 2 3] [--precision]

All have the widths 32, 64, 128, self-attention in heads of 32 at the coarsest level, one channel
in and out, and the same number of parameters within 1%. The peers' defaults put two blocks at
every level of the encoder, two in the middle and three at every level of the decoder. "ours" has
two blocks at the fine levels of encoder and decoder and as many at the coarsest as make up the
parameters; "ours, widened" has two blocks at every level and is wider instead.

Speed: the rounds go over all the contenders in turn, each in both memory layouts, so that other
load on the machine meets all alike; the faster layout of the round counts, and the ratio to ours
is the median over the rounds. Memory: what the backward pass keeps (the storages of the saved
tensors, the parameters left out), and the highest resident memory during a step above that before
it, each in a process of its own.

With --precision, in place of all that, the forward pass of ours in float32, in bfloat16 (autocast)
and through torch.compile, in processor time, and what the compilation took.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from diff_core.nn import UNet

CHANNELS = (32, 64, 128)
SIZES = {2: (2, 1, 64, 64), 3: (2, 1, 20, 20, 20)}
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
OURS = "ours"


def monai_unet(spatial: int) -> nn.Module:
    """MONAI's network for diffusion models; imported here, as it takes seconds."""
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    return DiffusionModelUNet(
        spatial_dims=spatial,
        in_channels=1,
        out_channels=1,
        channels=CHANNELS,
        attention_levels=(False, False, True),
        num_res_blocks=2,
        num_head_channels=32,
        norm_num_groups=8,
    )


def diffusers_unet(spatial: int) -> nn.Module:
    """diffusers' network for images; imported here, as it takes seconds."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    return UNet2DModel(
        in_channels=1,
        out_channels=1,
        block_out_channels=CHANNELS,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=32,
    )


def ours(checkpoint: tuple[int, ...] = ()) -> Callable[[int], nn.Module]:
    """The depth where it costs least."""

    def build(spatial: int) -> nn.Module:
        blocks, embedding = {2: ((2, 2, 8), 187), 3: ((2, 2, 9), 137)}[spatial]
        return UNet(
            spatial,
            1,
            1,
            CHANNELS,
            blocks=blocks,
            attention=(2,),
            embedding=embedding,
            checkpoint=checkpoint,
        )

    return build


def widened(spatial: int) -> nn.Module:
    """Two blocks everywhere."""
    return UNet(spatial, 1, 1, (56, 112, 224), attention=(2,), heads=7)


def contenders(spatial: int) -> dict[str, Callable[[int], nn.Module]]:
    """What is compared, by name."""
    peers: dict[str, Callable[[int], nn.Module]] = {"MONAI DiffusionModelUNet": monai_unet}
    if spatial == 2:
        peers["diffusers UNet2DModel"] = diffusers_unet
    return {
        OURS: ours(),
        "ours, checkpoint (0,)": ours((0,)),
        "ours, checkpoint (0, 1, 2)": ours((0, 1, 2)),
        "ours, widened": widened,
        **peers,
    }


def step(network: nn.Module, x: Tensor, time: Tensor) -> None:
    """One forward and backward pass."""
    forward(network, x, time).square().mean().backward()


def forward(network: nn.Module, x: Tensor, time: Tensor) -> Tensor:
    """The result; diffusers wraps it."""
    result = network(x, time)
    return result if isinstance(result, Tensor) else result.sample


def inputs(spatial: int) -> tuple[Tensor, Tensor]:
    """A batch and its times."""
    size = SIZES[spatial]
    return torch.randn(size), torch.full(size[:1], 0.5)


def seconds(spatial: int, rounds: int) -> dict[str, list[float]]:
    """Of a step, for each contender and round, in the faster layout."""
    networks = {name: build(spatial) for name, build in contenders(spatial).items()}
    x, t = inputs(spatial)
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(rounds + 1):
        for name, network in networks.items():
            spent: list[float] = []
            for layout in (torch.contiguous_format, LAYOUTS[spatial]):
                network.to(memory_format=layout)
                network.zero_grad()
                begin = time.perf_counter()
                step(network, x.to(memory_format=layout), t)
                spent.append(time.perf_counter() - begin)
            if turn:
                taken[name].append(min(spent))
    return taken


def memory(spatial: int, name: str) -> dict[str, float]:
    """MB kept for the backward pass, and peak resident MB of a step; for a process of its own."""
    network = contenders(spatial)[name](spatial)
    x, t = inputs(spatial)
    step(network, x, t)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward(network, x, t)
    for parameter in network.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del result
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    step(network, x, t)
    return {"kept": sum(kept.values()) / 1e6, "peak": (_status("VmHWM") - before) / 1e3}


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


def isolated(spatial: int, name: str, threads: int) -> dict[str, float]:
    """`memory` in a fresh process, without an allocator that holds on to what was freed."""
    command = [sys.executable, __file__, "--memory", name, "--spatial", str(spatial)]
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        env={"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def report(spatial: int, rounds: int, threads: int) -> None:
    """Print the table of one number of axes."""
    taken = seconds(spatial, rounds)
    used = {name: isolated(spatial, name, threads) for name in taken}
    size = " x ".join(str(n) for n in SIZES[spatial])
    print(f"\n{spatial}-D, {size} float32, {threads} threads, median of {rounds} rounds\n")
    print(
        "| | parameters | ms a step | speed of ours / this | kept MB | this / ours "
        "| peak MB | this / ours |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, build in contenders(spatial).items():
        size = sum(p.numel() for p in build(spatial).parameters())
        speed = statistics.median(
            theirs / mine for theirs, mine in zip(taken[name], taken[OURS], strict=True)
        )
        cells = [
            name,
            f"{size:,}",
            f"{1e3 * statistics.median(taken[name]):.0f}",
            f"{speed:.2f}",
        ]
        for kind in ("kept", "peak"):
            mine, theirs = used[OURS][kind], used[name][kind]
            cells += [f"{theirs:.0f}", f"{theirs / mine:.2f}"]
        print("| " + " | ".join(cells) + " |")


def precision(spatial: int, rounds: int) -> None:
    """Print milliseconds of processor time of a forward pass, each way in turn in every round."""
    network = ours()(spatial).eval()
    x, t = inputs(spatial)
    compiled = torch.compile(network, fullgraph=True)

    def narrow(x: Tensor, t: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(x, t)

    ways = {"float32": network, "bfloat16": narrow, "float32, compiled": compiled}
    first: dict[str, float] = {}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        for turn in range(rounds + 1):
            for name, way in ways.items():
                begin = time.process_time()
                way(x, t)
                spent = time.process_time() - begin
                if turn:
                    taken[name].append(spent)
                else:
                    first[name] = spent
    plain = statistics.median(taken["float32"])
    print(f"\n| {spatial}-D, forward | ms | times as fast | first call, s |\n|---|--:|--:|--:|")
    for name, each in taken.items():
        median = statistics.median(each)
        print(
            f"| {name} | {1e3 * median:.0f} | {plain / median:.2f} | {first[name]:.1f} |",
            flush=True,
        )


def main() -> None:
    """Print versions and tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of timing (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--spatial", type=int, nargs="+", default=[2, 3], help="default 2 3")
    parser.add_argument("--precision", action="store_true", help="float32, bfloat16, compiled")
    parser.add_argument("--memory", metavar="CONTENDER", help="measure its memory only, as JSON")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.memory:
        print(json.dumps(memory(options.spatial[0], options.memory)))
        return
    if options.precision:
        for spatial in options.spatial:
            precision(spatial, options.rounds)
        return
    versions = [f"{name} {version(name)}" for name in ("torch", "monai", "diffusers")]
    print(", ".join([*versions, f"python {platform.python_version()}"]))
    for spatial in options.spatial:
        report(spatial, options.rounds, options.threads)


if __name__ == "__main__":
    main()
