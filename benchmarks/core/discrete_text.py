"""Bits a character of masked diffusion, an autoregressive transformer and n-grams, in one run.

    python benchmarks/core/discrete_text.py [--minutes 30] [--weights out/text/text.safetensors]

The text is examples/core/text/holmes.txt, its last story held out. All are judged on the same
windows of 256 characters of the held-out part, each on its own: what is before a window is not
seen. Diffusion has a bound (`evidence_bound`), the others have their likelihood itself.

The autoregressive rival is the same transformer with a causal mask: the same blocks, width, depth,
embedding and optimiser, `--minutes` of CPU time (not of the clock) for each; the weights are those
of the best of twelve validations, so that more time than a model needs does it no harm. --weights
judges a diffusion model of a file too, beside the minutes that its card names; with --minutes 0
nothing is trained. The n-grams are interpolated by Witten and Bell's rule, of each length to
--order.

Also printed: characters drawn a second of CPU time, one thread, and samples.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from diff_core import Keyed, uniform
from diff_core.discrete import (
    Ancestral,
    CategoricalNetwork,
    EvidenceBound,
    FirstHitting,
    FromLogits,
    bits_per_token,
    evidence_bound,
)
from diff_core.discrete.sample import sample
from diff_core.io import load, read_card
from diff_core.nn import DiT
from diff_core.train import TrainConfig, learning_rate
from diff_core.train.precision import forward_in, narrow_dtype

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "core" / "text"))
from text_model import HOLMES, Alphabet, Network, Windows, read, untrained  # noqa: E402

CPU = torch.device("cpu")
WINDOW, BATCH, HELD_OUT = 256, 16, 0.0945


class Causal(nn.Module):
    """The logits of every character given those before it: a DiT whose attention looks back only.

    The parts are those of the diffusion model's network, at time 0; the first character is
    predicted from the mask, which stands before every window.
    """

    def __init__(self, network: CategoricalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Characters (B, L) -> logits (B, K, L)."""
        shifted = nn.functional.pad(x[:, :-1], (1, 0), value=self.network.categories)
        body = self.network.network
        assert isinstance(body, DiT)
        rows = body.stem(self.network.embedding(shifted).transpose(1, 2))
        length = x.shape[1]
        back = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
        embedding = body.embedding(torch.zeros(len(x)), None)
        angles, rows = body.rotary(rows.shape[2:], rows), rows.transpose(1, 2)
        for block in body.blocks:
            rows = block(rows, embedding, angles, back, None, None)
        scale, shift = body.modulation(embedding)[:, None].chunk(2, dim=-1)
        rows = body.norm(rows) * (1 + scale) + shift
        features = body.head(rows.transpose(1, 2))
        table = self.network.embedding.weight[: self.network.categories]
        logits = torch.einsum("bdl,kd->bkl", features, table / table.shape[1] ** 0.5)
        return logits + self.network.bias[:, None]


def nats(model: Causal, x: Tensor) -> Tensor:
    """-ln p of every character of x (B, L)."""
    return nn.functional.cross_entropy(model(x).float(), x, reduction="none")


def fit(
    model: nn.Module,
    loss: Callable[[Tensor, torch.Generator], Tensor],
    windows: Windows,
    minutes: float,
    score: Callable[[nn.Module], float],
) -> tuple[nn.Module, int]:
    """The averaged weights with the best score after `minutes` of CPU time, and the steps made.

    The rate falls as a cosine over the time, not over a number of steps.
    """
    config = TrainConfig(10_000, BATCH, learning_rate=1e-3, warmup=0, final_rate=2e-5)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.99), weight_decay=0.01)
    average, best, kept = copy.deepcopy(model), math.inf, copy.deepcopy(model)
    used, judged, step = 0.0, 0, 0
    while used < 60 * minutes:
        before = time.process_time()
        share = used / (60 * minutes)
        for group in optimizer.param_groups:
            rate = learning_rate(config, round(share * config.steps))
            group["lr"] = rate * min(1, (step + 1) / 200)
        items = range(step * BATCH, (step + 1) * BATCH)
        x = torch.stack([windows[i]["x_0"] for i in items])
        optimizer.zero_grad()
        loss(x, torch.Generator().manual_seed(step)).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        step += 1
        used += time.process_time() - before
        if used >= 60 * minutes * (judged + 1) / 12:
            judged += 1
            found = score(average)
            print(f"  {used / 60:6.1f} min, {step} steps: {found:.3f} bits", flush=True)
            if found < best:
                best, kept = found, copy.deepcopy(average)
    return kept.eval(), step


def n_grams(text: Tensor, held: Tensor, order: int, categories: int) -> list[float]:
    """Bits a character of n-grams up to `order` on windows (B, L), each length's own."""
    follow: list[defaultdict[tuple[int, ...], Counter[int]]] = []
    symbols = text.tolist()
    for n in range(order):
        table: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for i in range(n, len(symbols)):
            table[tuple(symbols[i - n : i])][symbols[i]] += 1
        follow.append(table)
    total = [0.0] * order
    for window in held.tolist():
        for i, symbol in enumerate(window):
            p = 1 / categories
            for n in range(order):
                seen = follow[n].get(tuple(window[i - n : i])) if i >= n else None
                if seen:
                    count, kinds = seen.total(), len(seen)
                    p = (seen[symbol] + kinds * p) / (count + kinds)
                total[n] -= math.log2(p)
    return [bits / held.numel() for bits in total]


def written(model: Causal, rows: int, generator: torch.Generator) -> Tensor:
    """Windows drawn one character after the other, all of what is before seen again each time."""
    x = torch.zeros(rows, WINDOW, dtype=torch.int64)
    with torch.no_grad():
        for i in range(WINDOW):
            p = model(x[:, : i + 1])[:, :, i].float().softmax(1)
            x[:, i] = torch.multinomial(p, 1, generator=generator)[:, 0]
    return x


@dataclass(frozen=True)
class Given:
    """The text to learn from, the windows (B, L) to judge on, and the options."""

    alphabet: Alphabet
    text: Tensor
    held: Tensor
    options: argparse.Namespace

    @property
    def few(self) -> Tensor:
        """Return some two dozen windows, for the validations of a training."""
        return self.held[:: max(1, len(self.held) // 24)]


def bound(model: nn.Module, x: Tensor, draws: int) -> Tensor:
    """Return the evidence bound of every window, in nats a character."""
    assert isinstance(model, FromLogits)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        parts = [evidence_bound(model, r, draws=draws, generator=generator) for r in x.split(32)]
    return torch.cat(parts)


def likelihood(model: nn.Module, x: Tensor) -> Tensor:
    """Return -ln p of every window, in nats a character."""
    assert isinstance(model, Causal)
    with torch.no_grad():
        return torch.cat([nats(model, rows).mean(1) for rows in x.split(32)])


def trained(given: Given) -> dict[str, tuple[nn.Module, int]]:
    """Return both models after equal time, with their steps, by name."""
    minutes, windows = given.options.minutes, Windows(given.text, WINDOW)
    k, objective = len(given.alphabet.characters), EvidenceBound()
    print("masked diffusion", flush=True)
    torch.manual_seed(0)
    diffusion = untrained(k, Network())
    with forward_in(diffusion, narrow_dtype("auto", CPU), CPU):
        first = fit(
            diffusion,
            lambda x, g: objective(diffusion, {"x_0": x}, g),
            windows,
            minutes,
            lambda m: bits_per_token(bound(m, given.few, 8)),
        )
    print("autoregressive", flush=True)
    torch.manual_seed(0)
    causal = Causal(untrained(k, Network()).network)
    with forward_in(causal, narrow_dtype("auto", CPU), CPU):
        second = fit(
            causal,
            lambda x, g: nats(causal, x),
            windows,
            minutes,
            lambda m: bits_per_token(likelihood(m, given.few)),
        )
    label = f"{minutes:g} min"
    return {f"masked diffusion, {label}": first, f"autoregressive, {label}": second}


def table(given: Given, models: dict[str, tuple[nn.Module, int]]) -> None:
    """Print bits a character."""
    held, options = given.held, given.options
    print(f"\n| {len(held)} held-out windows of {WINDOW} | bits a character | steps |")
    print("|---|--:|--:|")
    for name, (model, steps) in models.items():
        causal = isinstance(model, Causal)
        each = likelihood(model, held) if causal else bound(model, held, options.draws)
        error = each.std().item() / math.sqrt(len(each)) / math.log(2)
        sign = "" if causal else "< "
        print(f"| {name} | {sign}{bits_per_token(each):.3f} ± {error:.3f} | {steps} |", flush=True)
    found = n_grams(given.text, held, options.order, len(given.alphabet.characters))
    for n, bits in enumerate(found, 1):
        print(f"| {n}-gram | {bits:.3f} | |")


def written_by(given: Given, models: dict[str, tuple[nn.Module, int]]) -> None:
    """Print the speed and a sample of each way to write."""
    noise = Keyed(range(4))
    ways: dict[str, Callable[[], Tensor]] = {}
    for name, (model, _) in models.items():
        if isinstance(model, Causal):
            ways[f"{name}, without a cache"] = lambda model=model: written(
                model, 4, torch.Generator().manual_seed(0)
            )
            continue
        assert isinstance(model, FromLogits)
        start = model.chain.start(noise(-1, torch.empty(4, WINDOW)))
        for steps in (16, 64, 128):
            ways[f"{name}, ancestral, {steps} steps"] = lambda n=steps, m=model, x=start: sample(
                m, Ancestral(), x, uniform(n), noise=noise
            )
        ways[f"{name}, first hitting, 256 calls"] = lambda m=model, x=start: sample(
            m, FirstHitting(), x, uniform(1), noise=noise
        )
    print("\ncharacters a second of CPU time, 4 texts of 256 at once")
    for name, way in ways.items():
        before = time.process_time()
        x = way()
        rate = x.numel() / (time.process_time() - before)
        print(f"  {name:<56} {rate:6.0f}\n    {given.alphabet.decode(x[0])!r}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30, help="of CPU time for each model")
    parser.add_argument("--weights", type=Path, help="a trained diffusion model, judged as well")
    parser.add_argument("--order", type=int, default=7, help="longest n-gram")
    parser.add_argument("--windows", type=int, default=190, help="of the held-out text")
    parser.add_argument("--draws", type=int, default=16, help="times of the bound")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    alphabet, text, rest = read(HOLMES, HELD_OUT)
    given = Given(alphabet, text, Windows(rest, WINDOW).spread(options.windows), options)
    models = trained(given) if options.minutes > 0 else {}
    if options.weights:
        card = read_card(options.weights)
        model = load(options.weights)[0].eval()
        models[f"masked diffusion, {60 * card.hours:.0f} min"] = model, card.steps
    table(given, models)
    written_by(given, models)


if __name__ == "__main__":
    main()
