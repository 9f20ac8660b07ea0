"""The quantity that a file says its voxels are, where that is no magnitude image.

Three places say it: the suffix and entities of a BIDS name (BIDS 1.9), the intent code of NIfTI
(nifti1.h), and ImageType with ComplexImageComponent of DICOM (PS3.3, C.8.13.3.1.1), which dcm2niix
copies into the JSON sidecar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nibabel.freesurfer.mghformat import MGHImage

from diff_medical.scan.bids import BIDS_CT, BIDS_MR, is_bids, sidecar_path, suffix_of
from diff_medical.scan.intensity import Modality
from diff_medical.scan.kinds import NIFTI
from diff_medical.scan.nifti import Scan
from diff_medical.scan.refusal import ScanError

__all__ = ["declared_modality", "no_magnitude", "refuse_declared"]

MAGNITUDES = frozenset("magnitude magnitude1 magnitude2 boldref dwiref m0scan".split())
LABELS = frozenset("dseg probseg mask defacemask roi label".split())
FIELDS = frozenset("fieldmap phase phase1 phase2 phasediff xfm warp".split())
MAPS = re.compile(r"(statmap|\w+map|Chimap|ADC|FA|MD|\w+std|res(idual)?s)")
PARTS = {"phase": "phase", "real": "a real part", "imag": "an imaginary part"}

INTENTS = {
    **dict.fromkeys(range(2, 25), "a map of a statistic"),
    1001: "a map of estimated parameters",
    1002: "a map of labels",
    1003: "a map of labels",
    1004: "a field of matrices",
    1005: "a field of tensors",
    1006: "a deformation field",
    1007: "a field of vectors",
    1008: "a set of points",
    1010: "a field of quaternions",
}

IMAGE_TYPES = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP", "PHASE_MAP"), "phase"),
    **dict.fromkeys(("VELOCITY", "VELOCITY MAP", "VELOCITY_MAP"), "a velocity map"),
    **dict.fromkeys(("R", "REAL"), "a real part"),
    **dict.fromkeys(("I", "IMAGINARY"), "an imaginary part"),
    **dict.fromkeys(("B0 MAP", "B0_MAP", "FIELD_MAP", "FIELD MAP"), "a field map"),
    **dict.fromkeys(("ADC", "FA", "TENSOR"), "a diffusion map"),
    **dict.fromkeys(("T1 MAP", "T1_MAP", "T2 MAP", "T2_MAP", "T2_STAR MAP", "T2_STAR_MAP",
                     "R2_MAP", "R2 MAP", "R2_STAR_MAP", "R2_STAR MAP"), "a relaxation map"),
    **dict.fromkeys(("RELCBF", "RELCBV", "RELMTT", "TTP", "CBF", "CBV", "MTT"), "a perfusion map"),
}  # fmt: skip

WAY_ON = (
    "noise removal is for magnitude images and CT; make this again from enhanced magnitude images"
)


def refuse_declared(scan: Scan) -> None:
    """Raise ScanError for a scan that says that it is no magnitude image."""
    reason = no_magnitude(scan.path) or _of_header(scan)
    if reason:
        raise ScanError(scan.path, f"is {reason}", WAY_ON)


def no_magnitude(path: Path) -> str:
    """Return what a file is by its BIDS name or its sidecar, "" for a magnitude image or no
    word.
    """
    if is_bids(path):
        name = NIFTI.split(path.name)[0]
        suffix = suffix_of(path)
        part = re.search(r"_part-([a-z]+)_", name)
        if part and part[1] in PARTS:
            return f"{PARTS[part[1]]}, by part-{part[1]} in its name"
        if suffix in LABELS:
            return f"a map of labels, by its suffix '{suffix}'"
        if suffix in FIELDS:
            return f"a field or phase, by its suffix '{suffix}'"
        if suffix not in BIDS_MR | BIDS_CT | MAGNITUDES and MAPS.fullmatch(suffix):
            return f"a map of a quantity, by its suffix '{suffix}'"
    return _of_image_type(_sidecar(path).get("ImageType"), "sidecar")


def declared_modality(path: Path) -> Modality | None:
    """Return "mr" or "ct" by the BIDS name or the sidecar of a file, None without a word."""
    suffix = suffix_of(path) if is_bids(path) else ""
    if suffix in BIDS_CT:
        return "ct"
    if suffix in BIDS_MR | MAGNITUDES:
        return "mr"
    said = str(_sidecar(path).get("Modality") or "").upper()
    return "ct" if said == "CT" else "mr" if said in ("MR", "MRI") else None


def _of_header(scan: Scan) -> str:
    stack = getattr(scan, "stack", None)
    if stack is not None:
        if scan.modality != "mr":
            return ""
        for one in (stack.headers[0], stack.headers[-1]):
            component = str(one.get("ComplexImageComponent") or "")
            types = [*(one.get("ImageType") or ("", "")), component]
            if said := _of_image_type(types, "ImageType"):
                return said
        return ""
    if isinstance(scan.image, MGHImage) or "intent_code" not in scan.image.header:
        return ""
    code = int(scan.image.header["intent_code"])
    return f"{INTENTS[code]}, by its intent code {code}" if code in INTENTS else ""


def _of_image_type(types: Any, where: str) -> str:
    """Return what the values of ImageType from the third on say, "" where it is no list."""
    if not isinstance(types, Iterable) or isinstance(types, str):
        return ""
    for value in list(types)[2:]:
        word = str(value).upper().strip()
        if word in IMAGE_TYPES:
            return f"{IMAGE_TYPES[word]}, by '{word}' in its {where}"
    return ""


def _sidecar(path: Path) -> dict[str, Any]:
    if not NIFTI.matches(path):
        return {}
    try:
        found = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
