"""The cascade: its stages together are one density of scans."""

import numpy as np
import pytest
import torch

from diff_core.train import Denoising, edm_weight
from diff_medical.generator.cascade import BLUR, Cascade, CascadeDenoising
from diff_medical.generator.packing import fit_packing
from diff_medical.generator.vocabulary import Vocabulary
from small_cascade import small_cascade, with_random_heads

WORDS = Vocabulary(("ct", "t1"), ("head",), ())


def batch(spatial: int = 2, extra: int = 0, count: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    side = (8,) * spatial
    made = {
        "x_0": torch.randn(count, 2**spatial, *side, generator=generator),
        "vector": torch.zeros(count, WORDS.size),
    }
    if extra:
        made["channels"] = torch.randn(count, extra * 2**spatial, *side, generator=generator)
    return made


@pytest.mark.parametrize("spatial", [2, 3])
@pytest.mark.parametrize("extra", [0, 2])
def test_both_stages_take_what_the_batch_holds(spatial: int, extra: int) -> None:
    model, given = small_cascade(WORDS, spatial, extra=extra), batch(spatial, extra)
    coarse, detail = model.coarse_batch(given), model.detail_batch(given)
    assert coarse["x_0"].shape == (4, 2**spatial, *(4,) * spatial)
    assert detail["x_0"].shape == (4, 2**spatial - 1, *(8,) * spatial)
    # nothing is lost between the stages
    again = torch.cat([model.inner.unpack(coarse["x_0"]), detail["x_0"]], 1)
    assert torch.allclose(again, given["x_0"], atol=1e-5)
    assert torch.equal(detail["channels"][:, :1], given["x_0"][:, :1])
    losses = objective(0.5)(model, given, torch.Generator().manual_seed(0))
    assert losses.shape == (4,)


def test_extra_channels_are_packed_alike_for_both_stages() -> None:
    model = small_cascade(WORDS, 2, extra=1)
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    packed = model.pack_extra(image)
    deeper = model.coarse_extra(packed)
    assert deeper is not None
    # first channels are the means of blocks, in the units of the image
    assert torch.allclose(packed[:, :1], torch.nn.functional.avg_pool2d(image, 2), atol=1e-6)
    assert torch.allclose(deeper[:, :1], torch.nn.functional.avg_pool2d(image, 4), atol=1e-6)


def objective(share: float) -> CascadeDenoising:
    each = Denoising(edm_weight(1.0))
    return CascadeDenoising(each, each, share)


def test_the_mean_of_the_loss_is_that_of_both_stages() -> None:
    """Untrained denoisers return x_t / (1 + sigma^2): of unit data the weighted loss is 1."""
    model, given = small_cascade(WORDS), batch(count=256)
    for share in (1.0, 0.25):
        with torch.no_grad():
            losses = objective(share)(model, given, torch.Generator().manual_seed(0))
        assert float(losses.mean()) == pytest.approx(2, rel=0.05)
        beyond = losses[round(256 * share) :]
        assert len(beyond) == 0 or float(beyond.mean()) == pytest.approx(1, rel=0.1)


def test_detail_is_made_for_a_coarse_scan_with_noise() -> None:
    model, given = small_cascade(WORDS), batch(count=64)
    noise = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    told = model.detail_batch(given, noise)["channels"]
    assert torch.allclose(told - given["x_0"][:, :1], BLUR * noise, atol=1e-6)


def test_each_stage_gets_a_gradient_of_its_own_loss_only() -> None:
    model, given = with_random_heads(small_cascade(WORDS)), batch()
    losses = objective(0.5)(model, given, torch.Generator().manual_seed(0))
    losses[2:].sum().backward()  # the rows without detail
    assert all(p.grad is None or not p.grad.any() for p in model.detail.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.coarse.parameters())


def test_stages_of_other_sizes_are_refused() -> None:
    two, three = small_cascade(WORDS), small_cascade(WORDS, 3)
    with pytest.raises(ValueError, match=r"have \(8, 3\) channels; expected \(4, 3\)"):
        Cascade(two.outer, two.inner, WORDS, three.coarse, two.detail)


def test_the_outer_packing_leaves_the_coarse_subband_unit_variance() -> None:
    images = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    packing = fit_packing(images, 2, 1, 0.5, apart=True)
    packed = packing.pack(images).transpose(0, 1).flatten(1)
    assert float(packed[0].std()) == pytest.approx(1, abs=1e-3)
    assert float(packed[1:].var(1).mean()) == pytest.approx(1, abs=1e-3)
    assert np.allclose(packing.unpack(packing.pack(images)), images, atol=1e-5)
