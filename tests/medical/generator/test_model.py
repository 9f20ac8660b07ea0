"""The generator: what it is asked for is what it makes, whatever the batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diff_core.io import Card, save
from diff_medical.generator.data.augment import Augmentation
from diff_medical.generator.data.pairs import Pairing
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.request import Request
from diff_medical.generator.vocabulary import Vocabulary
from small_cascade import small_cascade

REQUESTS = [Request("t1"), Request("ct", "chest", position=0.3), Request("t1", "head", "coronal")]


def choice(modality: str, body: str, plane: str, positions: list[float]) -> dict[str, object]:
    return {
        "modality": modality, "body": body, "plane": plane, "scans": 10, "subjects": 3,
        "positions": positions, "view": 240.0,
    }  # fmt: skip


def make(spatial: int = 2, *, extra: int = 0, trained: bool = True) -> Generator:
    """A small generator of 16 pixels with random weights."""
    torch.manual_seed(0)
    planes = ("axial", "coronal") if spatial == 2 else ()
    labels = Augmentation.size(spatial)
    words = Vocabulary(("ct", "t1"), ("chest", "head"), planes, labels)
    model = small_cascade(words, spatial, mean=0.7, deviation=0.3, extra=extra)
    if trained:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    places = [i / 8 for i in range(9)]
    choices = [
        choice("t1", "head", planes[0] if planes else "", places),
        choice("t1", "head", planes[-1] if planes else "", places),
        choice("ct", "chest", planes[0] if planes else "", []),
    ]
    pairing = {"suffix": "seg" if extra else "", "labels": extra}
    signal = {"size": 16, "thickness": 2.0, "choices": choices, "channels": pairing}
    return Generator(model, Card("small", signal=signal), device="cpu")  # type: ignore[arg-type]


def test_a_scan_depends_on_its_seed_and_request_only() -> None:
    generator = make()
    whole = generator(REQUESTS, Sampling(steps=3, seed=5, batch=8))
    single = generator(REQUESTS, Sampling(steps=3, seed=5, batch=1))
    alone = generator([REQUESTS[2]], Sampling(steps=3, seed=7))
    other = generator([REQUESTS[2]], Sampling(steps=3, seed=8))
    for one, two in zip(whole, single, strict=True):
        assert np.allclose(one.values, two.values, atol=0.05)
        assert one.request == two.request
    assert [made.seed for made in whole] == [5, 6, 7]
    assert np.allclose(alone[0].values, whole[2].values, atol=0.05)
    assert alone[0].request == whole[2].request
    assert np.abs(other[0].values - alone[0].values).mean() > 1


def test_what_is_asked_for_is_filled_in() -> None:
    made = make()(REQUESTS, Sampling(steps=2))
    assert [one.request.body for one in made] == ["head", "chest", "head"]
    assert made[0].request.position is not None
    assert made[1].request.position is None  # positions of these were not known in training
    assert made[0].values.shape == (16, 16)
    assert made[0].values.min() >= 0
    assert -1000 <= made[1].values.min() <= made[1].values.max() <= 3000


def test_geometry_says_where_a_slice_lies() -> None:
    low, high = make()(
        [Request("t1", position=0.0), Request("t1", position=1.0)], Sampling(steps=1)
    )
    assert low.volume.shape == (16, 16, 1)
    assert np.allclose(np.diag(low.affine), [15, 15, 2, 1])
    assert low.affine[2, 3] == pytest.approx(-120)
    assert high.affine[2, 3] == pytest.approx(120)
    # the field of view is centred
    assert np.allclose(low.affine[:2, 3], -15 * 7.5)
    (coronal,) = make()([Request("t1", plane="coronal", position=0.5)], Sampling(steps=1))
    assert coronal.volume.shape == (16, 1, 16)
    assert coronal.affine[1, 3] == pytest.approx(0)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("pet"), "modality is 'pet'; this model knows t1, ct"),
        (Request("t1", "knee"), "body is 'knee'; this model knows of t1 head"),
        (Request("ct", "", "coronal"), "plane is 'coronal'; this model knows of ct chest axial"),
    ],
)
def test_unknown_words_list_the_known_ones(request_: Request, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()([request_])


def test_numbers_out_of_range_are_refused() -> None:
    for given, said in (
        ({"steps": 0}, "steps is 0"),
        ({"guidance": -1.0}, "guidance is -1.0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"batch": 0}, "batch is 0"),
        ({"seed": -1}, "seed is -1"),
    ):
        with pytest.raises(ValueError, match=said):
            Sampling(**given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="requests is empty"):
        make()([])
    with pytest.raises(ValueError, match="plane is 'oblique'; expected axial, coronal, sagittal"):
        Request("t1", plane="oblique")
    with pytest.raises(ValueError, match="position is 2"):
        Request("t1", position=2)


def test_guidance_and_temperature_change_the_scan_and_progress_ends_at_one() -> None:
    generator, heard = make(), list[float]()
    whole = Sampling(steps=8, guidance=1, temperature=1, batch=2)
    plain = generator(REQUESTS, whole, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1
    guided = generator(REQUESTS, Sampling(steps=8, guidance=2.0, temperature=1))
    cool = generator(REQUESTS, Sampling(steps=8, guidance=1, temperature=0.5))
    for other in (guided, cool):
        assert not np.allclose(plain[0].values, other[0].values)


def test_the_untrained_model_draws_the_mean_of_the_packing() -> None:
    """D(x) = x / (1 + sigma^2): the flow ends at x_T / sqrt(1 + sigma_T^2), a unit normal."""
    how = Sampling(steps=60, guidance=1, temperature=1, batch=40)
    made = make(trained=False)([Request("t1")] * 40, how)
    tones = np.stack([one.values for one in made]) / 800
    # a pixel is (coarse +- three of detail) / 2, with deviations 0.3 and 0.1; cut off at 0
    inside = tones[tones > 0]
    assert np.median(tones) == pytest.approx(0.35, abs=0.01)
    spread = (0.3**2 + 3 * 0.1**2) ** 0.5 / 2
    assert np.quantile(inside, 0.8413) - 0.35 == pytest.approx(spread, abs=0.01)


def test_features_do_not_depend_on_the_unit_of_mr_nor_on_the_batch() -> None:
    generator = make()
    images = np.random.default_rng(0).random((5, 16, 16)) * 700
    words = ["t1", "t1", "t2", "t1", "t1"]
    features = generator.features(images, words)
    assert features.shape == (5, 32)  # mean and deviation of 8 features of both stages
    assert np.allclose(generator.features(images * 3, words, batch=2), features, atol=1e-4)
    assert np.abs(np.diff(features, axis=0)).max() > 1e-3
    with pytest.raises(ValueError, match="one modality for each"):
        generator.features(images, ["t1"])


def test_a_label_map_changes_the_scan_and_its_shape_is_checked() -> None:
    generator = make(extra=2)
    assert generator.pairing == Pairing("seg", 2)
    maps = [np.ones((16, 16)), np.full((16, 16), 2)]
    one, two = (
        generator([Request("t1")], Sampling(steps=2), channels=[labels])[0] for labels in maps
    )
    assert not np.allclose(one.values, two.values)
    with pytest.raises(ValueError, match=r"channels has shape \(8, 16\); expected \(16, 16\)"):
        generator([Request("t1")], channels=[np.ones((8, 16))])
    with pytest.raises(ValueError, match="channels: given 0; expected 1"):
        generator([Request("t1")])
    with pytest.raises(ValueError, match="channels: given 1; expected 0"):
        make()([Request("t1")], channels=maps[:1])


def test_volumes_have_three_axes() -> None:
    (made,) = make(3)([Request("t1")], Sampling(steps=2))
    assert made.values.shape == made.volume.shape == (16, 16, 16)
    assert np.allclose(np.diag(made.affine), [15, 15, 15, 1])
    assert made.request.plane == ""


def test_a_file_has_a_fingerprint_and_another_model_is_refused(
    tmp_path: Path, weights: Path
) -> None:
    generator = make()
    path = tmp_path / "small.safetensors"
    save(path, generator.model, generator.card, dtype=torch.float16)
    read = Generator.from_pretrained(path, device="cpu")
    assert len(read.fingerprint) == 16
    assert read.choices() == generator.choices()
    assert read.counts[Request("ct", "chest", "axial")] == 10
    with pytest.raises(ValueError, match="SlabNetwork"):
        Generator.from_pretrained(weights, device="cpu")
