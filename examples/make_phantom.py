"""Makes phantom_t1_noisy.nii.gz: a head-like phantom as a noisy T1-weighted scan would show it.

Everything is analytic: ellipsoids with folded surfaces for skin, skull, cortex, white matter,
ventricles and deep grey matter, smooth texture, a coil's shading, partial volume by supersampling,
Rician noise. It is no one's head. The result is the same on every machine, up to rounding.

    python examples/make_phantom.py                     # examples/phantom_t1_noisy.nii.gz
    python examples/make_phantom.py --clean clean.nii.gz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SHAPE = (96, 112, 80)
SPACING = (1.8, 1.8, 2.0)  # mm
FINE = 2  # samples per voxel and axis, for partial volume
SIGMA = 45.0  # noise, against 1000 for white matter

Array = NDArray[np.float64]


def phantom(axial: slice = slice(None)) -> Array:
    """Noise-free intensities (X, Y, Z), 0 to about 1150; of these axial slices alone if given."""
    right, front, up = (_axis(n, size) for n, size in zip(SHAPE, SPACING, strict=True))
    up = up.reshape(SHAPE[2], FINE)[axial].ravel()
    x, y, z = np.meshgrid(right, front, up, indexing="ij")
    fine = _tissues(x, y, z)
    coarse = fine.reshape(SHAPE[0], FINE, SHAPE[1], FINE, -1, FINE).mean(axis=(1, 3, 5))
    height = coarse_axis(2)[..., axial]
    shading = 1 + 0.12 * (coarse_axis(0) * 0.8 - coarse_axis(1) ** 2 + 0.6 * height)
    return coarse * shading


def _axis(count: int, size: float) -> Array:
    """Sample positions of the supersampled axis, mm from the centre."""
    return (np.arange(count * FINE) - (count * FINE - 1) / 2) * size / FINE


def coarse_axis(axis: int) -> Array:
    """Position along `axis`, -1 to 1, shaped for broadcasting over the volume."""
    line = np.linspace(-1, 1, SHAPE[axis])
    return line.reshape([-1 if a == axis else 1 for a in range(3)])


def _radius(
    x: Array, y: Array, z: Array, centre: tuple[float, ...], half: tuple[float, ...]
) -> Array:
    """1 on the surface of an ellipsoid with half axes `half`, mm."""
    offsets = ((v - c) / h for v, c, h in zip((x, y, z), centre, half, strict=True))
    return np.sqrt(sum(o * o for o in offsets))


def _waves(x: Array, y: Array, z: Array, wavelength: float, seed: int, count: int = 24) -> Array:
    """A smooth random field of sd 1: plane waves of about one wavelength (mm), all directions."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = wavelength * random.uniform(0.8, 1.3, count)
    phases = random.uniform(0, 2 * np.pi, count)
    field = np.zeros_like(x)
    for (a, b, c), length, phase in zip(directions, lengths, phases, strict=True):
        field += np.cos(2 * np.pi / length * (a * x + b * y + c * z) + phase)
    return field * np.sqrt(2 / count)


def _tissues(x: Array, y: Array, z: Array) -> Array:
    """Intensities of the supersampled head, drawn from the outside in."""
    texture = _waves(x, y, z, 24.0, seed=1)
    values = np.zeros_like(x)

    head = _radius(x, y, z, (0, 0, 2), (76, 94, 76)) + 0.008 * _waves(x, y, z, 90.0, seed=2)
    values[head < 1.0] = 860  # fat under the skin
    values[head < 0.945] = 430  # muscle
    skull = _radius(x, y, z, (0, 1, 3), (70, 87, 70)) + 0.006 * _waves(x, y, z, 60.0, seed=3)
    values[skull < 1.0] = 70  # compact bone
    marrow = (skull < 0.978) & (skull > 0.945)
    values[marrow] = 460 + 60 * texture[marrow]

    brain = _radius(x, y, z, (0, 2, 4), (63, 79, 62))
    depth = 1.0 - brain
    values[skull < 0.92] = 170  # cerebrospinal fluid
    # sulci: sheets where a random field crosses zero, widest at the surface and ending inside
    sheet = np.abs(_waves(x, y, z, 28.0, seed=4))
    gap = np.clip(0.20 * (1 - depth / 0.30), 0, None)
    ribbon = np.clip(0.85 * (1 - depth / 0.42), 0, None)
    inside = depth > 0.015 + 0.01 * texture
    # the hemispheres meet off the middle plane, and only outside the corpus callosum
    fissure = np.abs(x - 5.0 + 1.5 * np.sin(z / 11) + 1.2 * np.sin(y / 13))
    near_fissure = np.hypot((y - 2) / 52, (z - 4) / 26) > 1
    white = inside & (sheet > ribbon) & (depth > 0.085) & ~(near_fissure & (fissure < 5.5))
    grey = inside & (sheet > gap) & ~(near_fissure & (fissure < 1.3))
    values[grey] = 610 + 18 * texture[grey]
    values[white] = 1000 + 16 * texture[white]

    for side in (-1, 1):
        values[_radius(x, y, z, (side * 26, 8, 2), (8, 16, 11)) < 1] = 720  # putamen
        values[_radius(x, y, z, (side * 19, 6, 0), (5, 9, 8)) < 1] = 830  # pallidum
        values[_radius(x, y, z, (side * 10, -10, 3), (8, 13, 9)) < 1] = 740  # thalamus
        values[_radius(x, y, z, (side * 14, 18, 12), (6, 12, 8)) < 1] = 715  # caudate
        bent = x - side * (7 + 0.007 * (y - 6) ** 2)
        values[_radius(bent, y, z, (0, 0, 16), (5.5, 34, 7)) < 1] = 155  # lateral ventricle
    values[_radius(x, y, z, (0, -6, 3), (2.2, 12, 9)) < 1] = 160  # third ventricle
    # a small bright lesion, to see whether it survives
    values[_radius(x, y, z, (-34, -30, 22), (3.6, 3.2, 3.4)) < 1] = 1150

    hind = _radius(x, y, z, (0, -42, -38), (44, 30, 21))
    values[hind < 1.07] = 170
    leaves = np.sin(_radius(x, y, z, (0, -20, -30), (1, 1, 1)) * 1.15 + 1.2 * np.sin(x / 9))
    values[hind < 1.0] = 600
    values[(hind < 0.9) & (leaves > 0.1)] = 800  # leaves of the cerebellum
    values[hind < 0.45] = 960
    values[_radius(x, y, z, (0, -18, -46), (17, 17, 36)) < 1.0] = 170
    values[_radius(x, y, z, (0, -18, -46), (12, 13, 36)) < 1.0] = 930  # brain stem
    values[head >= 1.0] = 0
    return values


def main() -> None:
    """Writes the noisy phantom, and the clean one where asked for."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=here / "phantom_t1_noisy.nii.gz")
    parser.add_argument("--clean", type=Path, help="also write the phantom without noise")
    options = parser.parse_args()

    clean = phantom()
    noise = np.random.default_rng(0)
    real = clean + SIGMA * noise.standard_normal(SHAPE)
    noisy = np.hypot(real, SIGMA * noise.standard_normal(SHAPE))
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -np.array(SPACING) * (np.array(SHAPE) - 1) / 2
    for path, values in ((options.out, noisy), (options.clean, clean)):
        if path is None:
            continue
        image = nib.Nifti1Image(np.rint(values).astype(np.int16), affine)
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=1)
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = b"analytic head phantom, not a person"
        image.to_filename(path)
        print(path)


if __name__ == "__main__":
    main()
