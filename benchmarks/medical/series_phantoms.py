"""Series with a known truth: diffusion, a task, and perfusion by labels, in a made head.

Every phantom is a function of its seed. The head has white and grey matter, ventricles and folds;
its voxels at borders mix tissues, because it is made on a grid twice as fine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float32]
WHITE, GREY, WATER = range(3)
FULL = 0.9  # share of a tissue from which on a voxel counts for it
S0 = np.array([500.0, 700.0, 1100.0], np.float32)  # white matter, grey matter, water


@dataclass(frozen=True)
class Series:
    """A series and what is known of it.

    truth:   (X, Y, Z, volumes), without noise
    noisy:   the same with noise
    sigma:   standard deviation of the noise
    inside:  voxels of the head
    bvals:   s/mm2 of each volume, of diffusion alone
    bvecs:   (volumes, 3), the same
    scores:  name -> number of an estimate, in percent of the truth
    """

    name: str
    truth: Array
    noisy: Array
    sigma: float
    inside: NDArray[np.bool_]
    scores: Callable[[Array], dict[str, float]]
    bvals: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    bvecs: Array = field(default_factory=lambda: np.zeros((0, 3), np.float32))


def tissues(shape: tuple[int, int, int], rng: np.random.Generator) -> Array:
    """Return the shares of white matter, grey matter and water of each voxel: (X, Y, Z, 3)."""
    fine = tuple(2 * n for n in shape)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in fine), indexing="ij")
    folds = gaussian_filter(rng.standard_normal(fine), 3)
    radius = np.sqrt(x**2 + y**2 + (z / 1.3) ** 2)
    depth = radius + 0.09 * folds / folds.std()
    white = (depth < 0.66) & ~(((np.abs(x) - 0.25) / 0.12) ** 2 + (y / 0.2) ** 2 < 1)
    ventricles = ((np.abs(x) - 0.1) / 0.07) ** 2 + ((y + 0.1) / 0.3) ** 2 + z**2 < 1
    head = radius < 0.95
    kinds = np.stack([white & ~ventricles, head & (depth < 0.85) & ~white & ~ventricles,
                      head & ((depth >= 0.85) & ~white | ventricles)], -1)  # fmt: skip
    blocks = kinds.reshape(shape[0], 2, shape[1], 2, shape[2], 2, 3)
    return blocks.mean(axis=(1, 3, 5)).astype(np.float32)


def magnitudes(truth: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Return magnitudes of a truth with complex noise, rounded as scanners write them."""
    real = truth + sigma * rng.standard_normal(truth.shape, dtype=np.float32)
    other = sigma * rng.standard_normal(truth.shape, dtype=np.float32)
    return np.rint(np.hypot(real, other)).astype(np.float32)


def texture(shape: tuple[int, ...], rng: np.random.Generator, width: float) -> Array:
    """Return a smooth random field of mean 0 and standard deviation 1."""
    made = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), width)
    return (made / made.std()).astype(np.float32)


def diffusion(snr: float, shape: tuple[int, int, int] = (44, 48, 18), seed: int = 0) -> Series:
    """Diffusion: 3 volumes of b = 0, 15 directions of b = 1000 and 15 of b = 2000 s/mm2.

    snr: of white matter without diffusion weighting
    """
    rng = np.random.default_rng(seed)
    share = tissues(shape, rng)
    axis = np.stack([texture(shape, rng, 5) for _ in range(3)], -1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    along = np.clip(1.4 + 0.2 * texture(shape, rng, 4), 0.9, 1.9)
    vecs = rng.standard_normal((15, 3))
    for _ in range(200):  # repelling charges on a sphere, and their mirror images
        apart = vecs[:, None] - np.concatenate([vecs, -vecs])[None]
        far = np.linalg.norm(apart, axis=-1, keepdims=True)
        vecs = vecs + 0.05 * (apart / np.maximum(far, 0.05) ** 3).sum(1)
        vecs /= np.linalg.norm(vecs, axis=-1, keepdims=True)
    bvals = np.repeat([0, 1000, 2000], [3, 15, 15]).astype(np.float32)
    bvecs = np.concatenate([np.tile([[1.0, 0, 0]], (3, 1)), vecs, vecs]).astype(np.float32)
    angle = np.square(axis @ bvecs.T)
    b = bvals / 1000
    white = np.exp(-b * (0.35 + (along[..., None] - 0.35) * angle))
    grey, water = (np.exp(-b * d) for d in (0.8, 3.0))
    shading = (1 + 0.1 * texture(shape, rng, 12))[..., None]
    kinds = [white, np.broadcast_to(grey, white.shape), np.broadcast_to(water, white.shape)]
    truth = sum(share[..., k, None] * S0[k] * kinds[k] for k in range(3)) * shading
    truth = np.asarray(truth, np.float32)
    sigma = float(S0[WHITE] / snr)
    inside = share.sum(-1) > 0.5
    is_white, is_grey = share[..., WHITE] > FULL, share[..., GREY] > FULL
    known = tensor(truth, bvals, bvecs)

    def scores(found: Array) -> dict[str, float]:
        fa, md = tensor(found, bvals, bvecs)
        return {
            "FA white": 100 * float(fa[is_white].mean() / known[0][is_white].mean()),
            "MD white": 100 * float(md[is_white].mean() / known[1][is_white].mean()),
            "MD grey": 100 * float(md[is_grey].mean() / known[1][is_grey].mean()),
            "FA error": 100 * float(np.sqrt(np.square(fa - known[0])[is_white].mean())),
        }

    noisy = magnitudes(truth, sigma, rng)
    return Series(f"diffusion, SNR {snr:g}", truth, noisy, sigma, inside, scores, bvals, bvecs)


def tensor(values: Array, bvals: Array, bvecs: Array) -> tuple[Array, Array]:
    """Return fractional anisotropy and mean diffusivity by weighted linear least squares over
    b <= 1000 s/mm2 (P. Basser et al., 1994), as most programs fit them.
    """
    used = bvals <= 1000
    b, g = bvals[used, None] / 1000, bvecs[used]
    design = np.concatenate(
        [np.ones_like(b), -b * g**2, -2 * b * g[:, [0, 0, 1]] * g[:, [1, 2, 2]]], 1
    ).astype(np.float64)
    signal = np.maximum(values[..., used].reshape(-1, int(used.sum())), 1e-3).astype(np.float64)
    weight = np.square(signal)
    normal = np.einsum("vn,ni,nj->vij", weight, design, design)
    normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(7)
    right = np.einsum("vn,ni->vi", weight * np.log(signal), design)
    d = np.linalg.solve(normal, right[..., None])[..., 0]
    matrix = np.stack([d[:, [1, 4, 5]], d[:, [4, 2, 6]], d[:, [5, 6, 3]]], 1)
    values3 = np.maximum(np.linalg.eigvalsh(matrix), 0)
    mean = values3.mean(1)
    spread = np.square(values3 - mean[:, None]).sum(1)
    fa = np.sqrt(1.5 * spread / np.maximum(np.square(values3).sum(1), 1e-12))
    shape = values.shape[:3]
    return fa.reshape(shape).astype(np.float32), mean.reshape(shape).astype(np.float32)


def task(shape: tuple[int, int, int] = (36, 40, 16), seed: int = 1, volumes: int = 120) -> Series:
    """A task: cubes of 2 x 2 x 2 voxels in grey matter rise by 3 % in blocks of 10 volumes; the
    signal in grey matter over the noise is 21.5.
    """
    rng = np.random.default_rng(seed)
    share = tissues(shape, rng)
    still = (share @ np.array([480.0, 600.0, 800.0], np.float32)) * (
        1 + 0.1 * texture(shape, rng, 12)
    )
    course = (np.arange(volumes) // 10 % 2).astype(np.float32)
    slow = np.stack([texture((volumes,), rng, 8) for _ in range(3)])
    places = np.stack([texture(shape, rng, 4) for _ in range(3)], -1)
    drift = 0.01 * (places * share[..., GREY, None]) @ slow
    is_grey = share[..., GREY] > 0.7
    active = np.zeros(shape, bool)
    corners = np.argwhere(is_grey[:-1, :-1, :-1])
    rng.shuffle(corners)
    chosen: list[NDArray[np.int_]] = []
    for corner in corners:
        far = all(np.abs(corner - other).max() > 6 for other in chosen)
        cube = tuple(slice(c, c + 2) for c in corner)
        if far and is_grey[cube].all() and min(corner) > 2 and len(chosen) < 24:
            chosen.append(corner)
            active[cube] = True
    change = drift + 0.03 * active[..., None] * course
    truth = (still[..., None] * (1 + change)).astype(np.float32)
    sigma = 600 / 21.5
    centred = course - course.mean()

    def height(found: Array) -> float:
        beta = found @ centred / np.square(centred).sum()
        return float(beta[active].mean())

    inside = share.sum(-1) > 0.5

    def scores(found: Array) -> dict[str, float]:
        varies = found - found.mean(-1, keepdims=True) - (truth - truth.mean(-1, keepdims=True))
        return {
            "activation": 100 * height(found) / height(truth),
            "error over time": 100 * float(varies[inside].std() / sigma),
        }

    return Series("task", truth, magnitudes(truth, sigma, rng), sigma, inside, scores)


def labels(shape: tuple[int, int, int] = (36, 40, 16), seed: int = 2, pairs: int = 30) -> Series:
    """Arterial spin labelling: pairs of control and label, whose difference is 1.2 % in grey
    matter and 0.4 % in white matter, 0.6 of the noise and less.
    """
    rng = np.random.default_rng(seed)
    share = tissues(shape, rng)
    still = (share @ np.array([850.0, 1000.0, 1200.0], np.float32)) * (
        1 + 0.1 * texture(shape, rng, 12)
    )
    flow = share @ np.array([4.0, 12.0, 0.0], np.float32) * (1 + 0.2 * texture(shape, rng, 3))
    is_label = np.arange(2 * pairs) % 2 == 1
    truth = (still[..., None] - flow[..., None] * is_label).astype(np.float32)
    sigma = 20.0
    is_grey, is_white = share[..., GREY] > FULL, share[..., WHITE] > FULL

    def scores(found: Array) -> dict[str, float]:
        less = (found[..., ~is_label] - found[..., is_label]).mean(-1)
        error = (less - flow)[is_grey | is_white]
        return {
            "difference grey": 100 * float(less[is_grey].mean() / flow[is_grey].mean()),
            "difference white": 100 * float(less[is_white].mean() / flow[is_white].mean()),
            "difference error": 100 * float(error.std() / flow[is_grey].mean()),
        }

    inside = share.sum(-1) > 0.5
    return Series("labels", truth, magnitudes(truth, sigma, rng), sigma, inside, scores)
