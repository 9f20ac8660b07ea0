"""Marks of synthetic scans: what they say, what they survive, what is told where they are not."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.processing import resample_to_output
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diff_medical.generator.model import Made
from diff_medical.generator.request import Request
from diff_medical.jobs.generate import write
from diff_medical.marks.mark import Mark, is_named_synthetic, together
from diff_medical.marks.stamp import PIXELS, is_stamped, stamp
from diff_medical.marks.told import tell
from diff_medical.pages.contact_sheet import contact_sheet
from diff_medical.provenance import main

Out = pytest.CaptureFixture[str]
NAME = "t1_head_coronal_000012_desc-synthetic.nii.gz"
MARK = Mark(
    "0123456789abcdef",
    12,
    "generate",
    {"modality": "t1", "body": "head", "plane": "coronal", "position": 0.25},
    {"steps": 18, "guidance": 1.0, "temperature": 1.0},
)


def made(seed: int = 12, shape: tuple[int, ...] = (24, 20)) -> Made:
    """A slice, or with three axes a volume, on a grid with its own place and spacing."""
    values = np.random.default_rng(seed).uniform(0, 900, shape).astype(np.float32)
    affine = np.diag([1.5, 4.0 if len(shape) == 2 else 1.5, 1.25, 1.0])
    affine[:3, 3] = -17, 6, -12
    plane = "coronal" if len(shape) == 2 else ""
    return Made(values, affine, Request("t1", "head", plane, 0.25 if plane else None), seed)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    write(path, made(), MARK)
    return path


marks = st.builds(
    Mark,
    st.text("0123456789abcdef", min_size=16, max_size=16),
    st.integers(0, 2**63 - 1),
    st.text(),
    st.fixed_dictionaries(
        {"modality": st.text(max_size=30), "position": st.none() | st.floats(0, 1)}
    ),
    st.just({"steps": 5, "guidance": 1.5}),
    st.from_regex(r"diff-medical [0-9]\.[0-9]{1,2}\.[0-9]", fullmatch=True),
    st.integers(1, 99),
)


@given(marks)
def test_a_mark_is_read_back_from_its_json_and_its_line(mark: Mark) -> None:
    assert Mark.parse(mark.json()) == mark
    assert mark.json().isascii()
    line = mark.line()
    assert len(line.encode()) <= 79
    read = Mark.parse(f"converted; {line}; by another program")
    assert read == Mark(mark.fingerprint, mark.seed, software=mark.software)


halves = st.dictionaries(st.sampled_from(["Synthetic", "Seed"]), st.booleans())


@given(st.text() | halves.map(json.dumps))
def test_other_texts_hold_no_mark(text: str) -> None:
    assert Mark.parse(text) is None


def test_a_picture_of_several_says_what_they_share() -> None:
    other = Mark(MARK.fingerprint, 13, MARK.model, {**MARK.conditions, "position": 0.5})
    both = together([MARK, other])
    assert (both.seed, both.count) == (12, 2)
    assert dict(both.conditions) == {"modality": "t1", "body": "head", "plane": "coronal"}


@pytest.mark.parametrize(
    ("name", "says"),
    [("a_desc-synthetic.nii", True), ("a_desc-synthetic_T1w.nii.gz", True),
     ("a_desc-syntheticb.nii", False), ("synthetic.nii", False)],
)  # fmt: skip
def test_the_name_tells(name: str, says: bool) -> None:
    assert is_named_synthetic(Path(name)) is says


def test_a_scan_has_geometry_units_and_every_mark(scan: Path) -> None:
    image: Any = nib.load(scan)
    source = made()
    assert image.shape == (24, 1, 20)
    assert np.array_equal(np.asarray(image.dataobj)[:, 0], source.values)
    assert np.allclose(image.get_sform(), source.affine)
    assert np.allclose(image.get_qform(), source.affine, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"
    told = tell(scan)
    assert told.signs == ("extension", "header", "sidecar", "file name")
    assert told.mark == MARK and told.synthetic and not told.shipped and not told.note
    sidecar = json.loads((scan.parent / NAME.replace("nii.gz", "json")).read_text())
    assert sidecar["Synthetic"] is True
    assert (sidecar["Fingerprint"], sidecar["Seed"]) == ("0123456789abcdef", 12)
    assert sidecar["Units"] == "arbitrary"


def alone(scan: Path, image: Any, suffix: str = ".nii.gz") -> Path:
    """The image in a file of another name and folder: only the header can tell."""
    path = scan.parent / "elsewhere" / f"scan{suffix}"
    path.parent.mkdir(exist_ok=True)
    image.to_filename(path)
    return path


def as_float(image: Any) -> Any:
    return nib.Nifti1Image(image.get_fdata() / 7, image.affine, image.header)


def as_integer(image: Any) -> Any:
    values = np.rint(image.get_fdata()).astype(np.int16)
    turned = nib.Nifti1Image(values, image.affine, image.header)
    turned.set_data_dtype(np.int16)
    return turned


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "change",
    [lambda i: i, as_float, as_integer, nib.as_closest_canonical, lambda i: i.slicer[2:, :, 3:],
     lambda i: resample_to_output(i, (2.0, 4.0, 2.0))],
    ids=["as it is", "to float64", "to int16", "reoriented", "cropped", "resampled"],
)  # fmt: skip
def test_marks_survive_nibabel(scan: Path, change: Any, suffix: str) -> None:
    path = alone(scan, change(nib.load(scan)), suffix)
    again = alone(scan, nib.load(path), ".nii.gz" if suffix == ".nii" else ".nii")
    for file in (path, again):
        told = tell(file)
        assert told.mark == MARK
        assert told.signs == ("extension", "header")


def test_the_line_tells_where_the_extension_is_lost(scan: Path) -> None:
    image: Any = nib.load(scan)
    image.header.extensions.clear()
    told = tell(alone(scan, image))
    assert told.signs == ("header",)
    assert told.mark is not None
    assert (told.mark.fingerprint, told.mark.seed) == (MARK.fingerprint, 12)
    # with the sidecar beside it, all is told again
    path = scan.parent / "elsewhere" / NAME
    image.to_filename(path)
    shutil.copy(scan.parent / NAME.replace("nii.gz", "json"), path.parent)
    assert tell(path).mark == MARK


def test_a_header_made_anew_has_no_mark(scan: Path) -> None:
    image: Any = nib.load(scan)
    anew = nib.Nifti1Image(image.get_fdata(), image.affine)
    told = tell(alone(scan, anew))
    assert (told.synthetic, told.mark, told.signs) == (None, None, ())
    assert "does not prove that it is real" in told.text()
    # its name still tells, and a file of another kind is told by name and sidecar
    path = scan.parent / "elsewhere" / "t1_desc-synthetic.mgz"
    nib.MGHImage(image.get_fdata().astype(np.float32), image.affine).to_filename(path)
    assert tell(path).signs == ("file name",)
    assert tell(path).synthetic


def test_enhancing_keeps_the_marks(scan: Path, weights: Path) -> None:
    from diff_medical.enhance import main as enhance

    plain = alone(scan, nib.load(scan))
    code = enhance([str(plain), "--weights", str(weights), "--sigma", "30", "--quiet"])
    assert code == 0
    told = tell(plain.with_name("scan_enhanced.nii.gz"))
    assert told.signs == ("extension", "header")
    assert told.mark == MARK


def test_marks_that_differ_are_told(scan: Path, capsys: Out) -> None:
    write(scan.with_name("other_desc-synthetic.nii.gz"), made(5), Mark("f" * 16, 5))
    scan.with_name("other_desc-synthetic.nii.gz").replace(scan)
    assert main([str(scan)]) == 0
    said = capsys.readouterr()
    assert "its marks differ" in said.err and "sidecar: 0123456789abcdef seed 12" in said.err
    assert "ffffffffffffffff" in said.out


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_stamp_is_found_wherever_it_stands(scale: int) -> None:
    rng = np.random.default_rng(scale)
    picture = rng.integers(0, 256, (90, 240), dtype=np.uint8)
    assert not is_stamped(picture)
    stamp(picture, scale)
    assert is_stamped(picture)
    moved = np.pad(picture[5:, 30:], 13)
    assert is_stamped(moved)
    file = io.BytesIO()
    Image.fromarray(moved).save(file, "JPEG", quality=40)
    assert is_stamped(np.asarray(Image.open(file)))
    assert not is_stamped(picture[: -9 * scale])


def test_the_stamp_in_colour_and_in_too_small_a_picture() -> None:
    colour = np.zeros((40, 80, 3), np.uint8)
    stamp(colour)
    assert is_stamped(np.asarray(Image.fromarray(colour).convert("L")))
    assert PIXELS.shape == (9, 55)
    with pytest.raises(ValueError, match=r"picture is \(8, 80\); expected at least \(9, 55\)"):
        stamp(np.zeros((8, 80), np.uint8))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.png"
    contact_sheet(path, [made(seed) for seed in (12, 13, 14)], MARK)
    return path


def test_what_a_picture_keeps(picture: Path, tmp_path: Path) -> None:
    assert tell(picture).mark == MARK
    assert tell(picture).signs == ("text", "XMP")
    with Image.open(picture) as image:
        image.save(tmp_path / "again.png")  # without texts, as PIL does unless told otherwise
        image.convert("RGB").save(tmp_path / "again.jpg", quality=60)
        image.crop((0, 0, 200, 300)).save(tmp_path / "cropped.png")  # a scan has a stamp too
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(tmp_path / "small.png")
    for name in ("again.png", "again.jpg", "cropped.png"):
        told = tell(tmp_path / name)
        assert (told.synthetic, told.signs, told.mark) == (True, ("picture",), None)
        assert "by what is not told" in told.text()
    assert tell(tmp_path / "small.png").synthetic is None  # only people can read it


def test_the_iptc_mark_of_other_programs_is_read(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    texts.add_itxt("XML:com.adobe.xmp", f"<x><y DigitalSourceType='{source}'/></x>")
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png", pnginfo=texts)
    told = tell(tmp_path / "a.png")
    assert (told.synthetic, told.mark, told.signs) == (True, None, ("XMP",))


def test_the_command_tells_of_files_and_folders(
    scan: Path, picture: Path, make_head: Any, write_scan: Any, capsys: Out
) -> None:
    real = write_scan(make_head((12, 12, 4)), "real.nii.gz")
    assert main([str(scan.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert f"{real}: no mark found, which does not prove that it is real" in lines
    by = "synthetic, by generate 0123456789abcdef (not the shipped one), seed 12, t1 head coronal"
    assert any(line.startswith(f"{scan}: {by} 0.25") for line in lines)
    assert main([str(real), str(scan), str(picture), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["Synthetic"] for one in said] == [None, True, True]
    assert [one["Ours"] for one in said] == [False, True, True]
    assert said[1]["Seed"] == 12 and said[1]["Conditions"] == dict(MARK.conditions)
    assert said[1]["Marks"][0] == "extension"


def test_a_sidecar_of_another_program_tells(make_head: Any, write_scan: Any) -> None:
    path = write_scan(make_head((12, 12, 4)), "theirs.nii.gz")
    path.with_name("theirs.json").write_text('{"Synthetic": true, "Software": "other 1.0"}')
    told = tell(path)
    assert (told.synthetic, told.mark, told.signs) == (True, None, ("sidecar",))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("empty.nii.gz", b"", "the file is empty"),
     ("text.nii", b"no scan" * 99, "is not a NIfTI file"),
     ("text.png", b"no picture", "cannot be read as a picture"),
     ("cut.dcm", b"\0" * 128 + b"DICM\x02", "cannot be read as DICOM")],
)  # fmt: skip
def test_what_cannot_be_read(
    tmp_path: Path, capsys: Out, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name)]) == 1
    assert says in capsys.readouterr().err
    assert main([str(tmp_path / name), "--json"]) == 1
    assert says in json.loads(capsys.readouterr().out)["error"]


def test_a_file_that_is_missing(tmp_path: Path, capsys: Out) -> None:
    for name in ("none.nii.gz", "none.png", "none.xyz"):
        assert main([str(tmp_path / name)]) == 1
        assert "no such file" in capsys.readouterr().err.lower()


def test_a_damaged_picture(picture: Path, capsys: Out) -> None:
    picture.write_bytes(picture.read_bytes()[:3000])
    assert main([str(picture)]) == 1
    assert "cannot be read as a picture" in capsys.readouterr().err


def test_texts_that_are_nested_too_deeply_are_no_marks(tmp_path: Path, capsys: Out) -> None:
    deep = "[" * 100_000
    picture = tmp_path / "a.png"
    info = PngInfo()
    info.add_text("Description", deep)
    Image.new("L", (32, 32)).save(picture, pnginfo=info)
    picture.with_suffix(".json").write_text(deep)
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(tmp_path / "b.nii")
    (tmp_path / "b.json").write_text(deep)
    assert main([str(picture), str(tmp_path / "b.nii")]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("no mark found") == 2 and shown.err == ""
