"""NRRD and MetaImage files (.nrrd, .nhdr, .mha, .mhd), by SimpleITK (extra `diff-medical[itk]`).

ITK puts every file into LPS mm, whatever space an NRRD file names; affines here are in RAS mm.
What is written has the geometry of the file that was read, and the fields that ITK keeps.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.refusal import ScanError, damaged
from diff_medical.scan.spacing import Spacing

__all__ = ["ItkImage", "open_itk", "save_itk"]

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PACKED = 1040  # times, by which deflate packs at most
KEPT_APART = "NRRD_kinds["  # followed by an axis


class _Proxy:
    """The voxels of a file, read when asked: what nibabel calls an array proxy."""

    is_proxy = True
    slope, inter, offset = 1.0, 0.0, 0

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self.ndim = len(shape)

    def get_unscaled(self) -> NDArray[Any]:
        """Return the voxels (X, Y, Z[, volumes])."""
        sitk = _library(self.path)
        with _brief():
            image = sitk.ReadImage(str(self.path))
        array = sitk.GetArrayFromImage(image)  # a copy: a view would not keep its image alive
        if image.GetNumberOfComponentsPerPixel() > 1:
            array = np.moveaxis(array, -1, 0)
        return array.T

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return np.asarray(self.get_unscaled(), dtype)


class ItkImage(nib.Nifti1Image):
    """A file of ITK with the header that it gets as NIfTI. information: SimpleITK's reader, which
    has read the header.
    """

    information: Any = None


def open_itk(path: Path) -> tuple[Any, Spacing, tuple[str, ...]]:
    """Return a file as an `ItkImage`, its voxel sizes, and what is odd about its geometry.

    Raises ScanError for what cannot be read or holds colours or vectors, and without SimpleITK.
    """
    sitk = _library(path)
    if not path.is_file():
        raise ScanError(path, "no such file", "check the name")
    if path.stat().st_size == 0:
        raise ScanError(path, "the file is empty", "copy or export it again")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with damaged(path, "its header cannot be read", "export it again"), _brief():
        reader.ReadImageInformation()
        dtype = _dtype(sitk, reader.GetPixelID())
    keys = reader.GetMetaDataKeys()
    parts, size = reader.GetNumberOfComponents(), tuple(int(n) for n in reader.GetSize())
    kinds = [reader.GetMetaData(key) for key in keys if key.startswith(KEPT_APART)]
    if dtype is None or (parts > 1 and "list" not in kinds):
        raise ScanError(
            path, "holds colour, complex or vector voxels, not scalar ones",
            "convert it to one grey value a voxel",
        )  # fmt: skip
    shape = (*size, *([1] * (3 - len(size))), *([parts] if parts > 1 else []))
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if path.suffix.lower() in (".nrrd", ".mha") and promised > path.stat().st_size * PACKED:
        raise ScanError(
            path,
            f"is cut short: its header promises {promised:,} bytes of voxels",
            "copy it again",
        )
    if not promised:
        raise ScanError(path, f"has zero voxels (shape {shape})", "export it again")
    affine, spacing = _geometry(path, reader, len(size))
    known = path.suffix.lower() in (".mha", ".mhd") or "NRRD_space" in keys
    header: Any = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    header["pixdim"][1:4] = spacing
    image: Any = ItkImage(_Proxy(path, shape, dtype), affine, header)
    code = "scanner" if known else "unknown"
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    image.information = reader
    notes = () if known else ("it names no space: its orientation is unknown",)
    return image, spacing, notes


def save_itk(path: Path, image: ItkImage, stored: NDArray[Any]) -> None:
    """Write voxels (X, Y, Z[, volumes]) with the geometry and the fields of `image`, compressed;
    not atomically. The suffix of `path` names the format.
    """
    sitk, reader = _library(path), image.information
    axes = len(reader.GetSize())
    geometry = (
        reader.GetSpacing(),
        reader.GetOrigin(),
        np.reshape(reader.GetDirection(), (axes,) * 2),
    )
    listed = reader.GetNumberOfComponents() > 1 and path.suffix.lower() == ".nrrd"
    array = stored.T
    if listed:
        array = np.moveaxis(array, 0, -1)
    elif array.ndim > axes:  # an axis of one slice, or the list of a NRRD file in another format
        geometry = _longer(*geometry) if stored.ndim > 3 else geometry
        array = array if stored.ndim > 3 else array[0]
    made = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=listed)
    made.SetSpacing([float(v) for v in geometry[0]])
    made.SetOrigin([float(v) for v in geometry[1]])
    made.SetDirection([float(v) for v in np.ravel(geometry[2])])
    for key in reader.GetMetaDataKeys():
        made.SetMetaData(key, reader.GetMetaData(key))
    sitk.WriteImage(made, str(path), useCompression=True)
    if listed:
        _call_list(path)


def _longer(spacing: Any, origin: Any, turn: Any) -> tuple[Any, Any, Any]:
    """The geometry with one more axis, of steps of 1."""
    longer = np.eye(len(spacing) + 1)
    longer[:-1, :-1] = turn
    return (*spacing, 1.0), (*origin, 0.0), longer


def _call_list(path: Path) -> None:
    """Let the first axis of a NRRD file be a list, as it was: ITK calls it a vector."""
    plain = path.with_name(path.name + ".plain")
    path.rename(plain)
    try:
        with plain.open("rb") as source, path.open("wb") as target:
            for line in iter(source.readline, b"\n"):
                target.write(
                    line.replace(b" vector ", b" list ") if line[:6] == b"kinds:" else line
                )
            target.write(b"\n")
            shutil.copyfileobj(source, target)
    finally:
        plain.unlink()


@contextmanager
def _brief() -> Generator[None]:
    """Raise ValueError with what ITK says, without the places in its sources."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(str(error).rpartition("ERROR: ")[2]) from error


def _library(path: Path) -> Any:
    try:
        import SimpleITK as sitk
    except ImportError as error:
        raise ScanError(
            path, "NRRD and MetaImage need SimpleITK", "pip install 'diff-medical[itk]'"
        ) from error
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def _dtype(sitk: Any, kind: int) -> np.dtype[Any] | None:
    """The datatype of a pixel, None for one that is no number."""
    names = {
        "UInt8": "u1", "Int8": "i1", "UInt16": "u2", "Int16": "i2", "UInt32": "u4", "Int32": "i4",
        "UInt64": "u8", "Int64": "i8", "Float32": "f4", "Float64": "f8",
    }  # fmt: skip
    for name, code in names.items():
        if kind in (getattr(sitk, f"sitk{name}"), getattr(sitk, f"sitkVector{name}")):
            return np.dtype(code)
    return None


def _geometry(path: Path, reader: Any, axes: int) -> tuple[NDArray[np.float64], Spacing]:
    """The affine (4, 4) to RAS mm, and the voxel sizes."""
    used = min(axes, 3)
    turn = np.array(reader.GetDirection()).reshape(axes, axes)[:used, :used]
    sizes = np.array(reader.GetSpacing())[:used]
    affine = np.eye(4)
    affine[:used, :used] = turn * sizes
    affine[:used, 3] = reader.GetOrigin()[:used]
    usable = np.isfinite(affine).all() and (sizes > 0).all() and abs(np.linalg.det(turn)) > 1e-4
    if not usable:
        raise ScanError(path, f"has no usable geometry (voxel sizes {sizes})", "export it again")
    x, y, z = (float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    return TO_RAS @ affine, (x, y, z)
