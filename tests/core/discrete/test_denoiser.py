"""Networks of categories: shapes, files, guidance, precision, and training by the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from categorical_cases import CHAINS, tensor
from diff_core import Condition, Keyed, io, uniform
from diff_core.discrete import (
    Absorbing,
    CategoricalCfg,
    CategoricalDenoiser,
    CategoricalNetwork,
    Chain,
    EvidenceBound,
    FirstHitting,
    FromLogits,
    Uniform,
    evidence_bound,
    sharpen,
)
from diff_core.discrete.sample import sample
from diff_core.nn import DiT, UNet
from diff_core.train import TrainConfig, train
from diff_core.train.precision import forward_in

K, WIDTH = 5, 8


def body(kind: str, spatial: int, **extra: int) -> nn.Module:
    if kind == "dit":
        return DiT(spatial, WIDTH, WIDTH, patch=1, width=24, depth=2, heads=2, **extra)
    return UNet(spatial, WIDTH, WIDTH, (8, 16), blocks=1, embedding=16, **extra)


def denoiser_of(kind: str, spatial: int, chain: Chain | None = None, **extra: int) -> FromLogits:
    chain = chain or Absorbing(K)
    torch.manual_seed(1)
    made = FromLogits(
        CategoricalNetwork(body(kind, spatial, **extra), K, chain.states, WIDTH), chain
    )
    for parameter in made.parameters():  # layers that begin at zero would hide what is behind them
        nn.init.normal_(parameter, std=0.3)
    return made.eval()


CASES = [("dit", 1, (12,)), ("unet", 1, (12,)), ("unet", 2, (6, 7)), ("unet", 3, (4, 6, 5))]


@pytest.mark.parametrize(("kind", "spatial", "size"), CASES)
def test_shapes_and_probabilities(kind: str, spatial: int, size: tuple[int, ...]) -> None:
    denoiser = denoiser_of(kind, spatial)
    x_t = torch.randint(K + 1, (3, *size))
    p = denoiser(x_t, torch.rand(3))
    assert p.shape == (3, K, *size)
    torch.testing.assert_close(p.sum(1), torch.ones(3, *size))
    masked = x_t == K
    shown = torch.nn.functional.one_hot(x_t.clamp(max=K - 1), K).movedim(-1, 1).float()
    assert torch.equal(p.movedim(1, -1)[~masked], shown.movedim(1, -1)[~masked])
    assert p.movedim(1, -1)[masked].min() > 0


@pytest.mark.parametrize(("kind", "spatial", "size"), CASES)
def test_a_file_gives_the_same_denoiser(
    kind: str, spatial: int, size: tuple[int, ...], tmp_path: Path
) -> None:
    for name, chain in {"mask": Absorbing(K), "flat": Uniform(K)}.items():
        denoiser = denoiser_of(kind, spatial, chain)
        io.save(tmp_path / f"{name}.safetensors", denoiser, io.Card("labels"))
        loaded, card = io.load(tmp_path / f"{name}.safetensors")
        assert loaded.chain == chain and card.name == "labels"
        x_t, t = torch.randint(chain.states, (2, *size)), torch.tensor(0.4)
        assert torch.equal(loaded(x_t, t), denoiser(x_t, t))


@pytest.mark.parametrize("name", list(CHAINS))
def test_every_chain_survives_a_file(name: str, tmp_path: Path) -> None:
    chain = CHAINS[name]
    network = CategoricalNetwork(
        UNet(1, WIDTH, WIDTH, (8, 8), blocks=1), chain.categories, chain.states, WIDTH
    )
    io.save(tmp_path / "a.safetensors", FromLogits(network, chain), io.Card("chain"))
    assert io.load(tmp_path / "a.safetensors")[0].chain == chain


def test_the_embedding_is_the_last_layer() -> None:
    denoiser = denoiser_of("dit", 1)
    names = dict(denoiser.named_parameters())
    assert [n for n in names if "embedding.weight" in n and "network.network" not in n] == [
        "network.embedding.weight"
    ]
    x = torch.randint(K + 1, (2, 6))
    logits = denoiser.network(x, torch.zeros(2))
    features = denoiser.network.network(
        denoiser.network.embedding(x).transpose(1, 2), torch.zeros(2)
    )
    weight = names["network.embedding.weight"]
    wanted = torch.einsum("bdl,kd->bkl", features, weight[:K]) / WIDTH**0.5
    wanted = wanted + names["network.bias"][:, None]
    torch.testing.assert_close(logits, wanted)


def test_an_untrained_network_knows_nothing() -> None:
    network = CategoricalNetwork(body("dit", 1), K, K, WIDTH)
    p = FromLogits(network, Uniform(K))(torch.randint(K, (2, 7)), torch.tensor(0.5))
    torch.testing.assert_close(p, torch.full((2, K, 7), 1 / K))


def test_time_is_told_where_it_matters() -> None:
    x_t = torch.randint(K, (2, 12))
    for chain, matters in ((Absorbing(K), False), (Uniform(K), True)):
        denoiser = denoiser_of("dit", 1, chain)
        x_t[0, 3] = chain.states - 1
        same = torch.equal(denoiser(x_t, torch.tensor(0.2)), denoiser(x_t, torch.tensor(0.9)))
        assert same is not matters


def test_bfloat16_stays_close_and_returns_float32() -> None:
    denoiser = denoiser_of("dit", 1)
    x_t = torch.randint(K + 1, (4, 16))
    wanted = denoiser(x_t, torch.tensor(0.5))
    with forward_in(denoiser, torch.bfloat16, torch.device("cpu")):
        got = denoiser(x_t, torch.tensor(0.5))
    assert got.dtype == torch.float32
    assert 0 < (got - wanted).abs().max() < 0.1


class Table(CategoricalDenoiser):
    """A law that depends on the condition: (B, 1) picks a row; none is the last."""

    rows = tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3]])

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        row = torch.full((len(x_t),), 2) if cond is None else cond.vector[:, 0].long()
        return self.rows[row][:, :, None].expand(-1, -1, x_t.shape[1])


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guidance_is_a_product_of_powers(weight: float) -> None:
    table = Table(Uniform(3))
    guided = CategoricalCfg(table, null=None, weight=weight)
    cond = Condition(vector=torch.tensor([[0], [1]]))
    p = guided(torch.zeros(2, 4, dtype=torch.int64), torch.tensor(0.5), cond)
    wanted = Table.rows[:2] ** weight * Table.rows[2] ** (1 - weight)
    wanted = wanted / wanted.sum(1, keepdim=True)
    torch.testing.assert_close(p, wanted[:, :, None].expand(-1, -1, 4))
    with pytest.raises(ValueError, match="cond is None"):
        guided(torch.zeros(2, 4, dtype=torch.int64), torch.tensor(0.5))


def test_guidance_leaves_what_is_impossible_impossible() -> None:
    class Sure(Table):
        rows = tensor([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8], [0.0, 0.5, 0.5]])

    guided = CategoricalCfg(Sure(Uniform(3)), null=None, weight=3.0)
    cond = Condition(vector=torch.tensor([[0]]))
    p = guided(torch.zeros(1, 1, dtype=torch.int64), torch.tensor(0.5), cond)
    assert p.flatten().tolist() == [0, 1, 0]


def test_sharpen() -> None:
    p = tensor([[0.5, 0.3, 0.2]])
    torch.testing.assert_close(sharpen(p, 0.5), p**2 / (p**2).sum())
    assert sharpen(p, 0.0).tolist() == [[1, 0, 0]]
    assert sharpen(p, 1.0) is p
    assert sharpen(tensor([[1.0, 0.0]]), 0.7).tolist() == [[1, 0]]


class Counting:
    """Eight categories that count up from a random one: 01234012, 12340123, ..."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        first = torch.randint(K, (), generator=_seeded(index))
        return {"x_0": (torch.arange(8) + first) % K}


def _seeded(index: int) -> torch.Generator:
    return torch.Generator().manual_seed(index)


def test_the_engine_trains_and_the_samples_are_of_the_data(tmp_path: Path) -> None:
    torch.manual_seed(0)
    chain = Absorbing(K)
    network = CategoricalNetwork(
        DiT(1, 16, 16, patch=1, width=32, depth=2, heads=2), K, chain.states, 16
    )
    config = TrainConfig(150, 32, learning_rate=5e-3, warmup=20, ema=0.95, precision="float32")
    trained = train(
        FromLogits(network, chain), EvidenceBound(), Counting(), config, directory=tmp_path
    )
    x_0 = torch.stack([Counting()[10_000 + i]["x_0"] for i in range(64)])
    nats = evidence_bound(trained, x_0, draws=16, generator=_seeded(1)).mean().item()
    # the entropy of the data is ln 5 / 8 = 0.2 nats an entry; knowing nothing costs ln 5 = 1.6
    assert 0.15 < nats < 0.4
    noise = Keyed(range(20))
    got = sample(
        trained,
        FirstHitting(),
        chain.start(noise(-1, torch.empty(20, 8))),
        uniform(1),
        noise=noise,
    )
    assert sum(bool((row.diff() % K == 1).all()) for row in got) >= 15


@pytest.mark.parametrize(
    ("x_t", "t", "words"),
    [
        (torch.zeros(2, 12), torch.tensor(0.5), "int64"),
        (torch.zeros(2, 12, dtype=torch.int64), torch.tensor(1.5), r"outside \[0, 1\]"),
        (torch.zeros(2, 12, dtype=torch.int64), torch.tensor([0.5] * 3), "one time for"),
    ],
)
def test_bad_inputs_are_refused(x_t: Tensor, t: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        denoiser_of("dit", 1)(x_t, t)


def test_a_network_of_another_number_of_categories_is_refused() -> None:
    network = CategoricalNetwork(body("dit", 1), K - 1, K + 1, WIDTH)
    with pytest.raises(ValueError, match="K = 5 numbers for each entry"):
        FromLogits(network, Absorbing(K))(torch.zeros(1, 3, dtype=torch.int64), torch.tensor(0.5))
    with pytest.raises(ValueError, match="expected 2 <= categories"):
        CategoricalNetwork(body("dit", 1), 6, 5, WIDTH)
