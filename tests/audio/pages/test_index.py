"""`--report FOLDER` of several recordings: a page for each, and an index."""

import re
from pathlib import Path
from urllib.parse import unquote

import soundfile
from PIL import Image

from diff_audio.denoise import main


def test_a_folder_has_pages_and_an_index_whose_links_resolve(weights, tmp_path, speechlike):
    names = ["a.wav", "b/x <b> & 'c' #1.wav"]
    for number, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, speechlike(0.4 + number)[0], 16_000)
    (tmp_path / "in/bad.wav").write_text("no sound")
    pages = tmp_path / "pages"
    given = [str(tmp_path / "in"), "--recursive", "-o", str(tmp_path / "out")]
    code = main([*given, "--report", str(pages), "--weights", str(weights), "--quiet"])
    assert code == 1
    text = (pages / "index.html").read_text()
    links = [unquote(link) for link in re.findall(r'(?:<a href|loading="lazy" src)="(.*?)"', text)]
    assert sorted(links) == sorted(
        [f"{n}.html" for n in names] + [f"index/{n}.jpg" for n in names]
    )
    assert all((pages / link).is_file() for link in links)
    assert "2 done, 1 failed" in text and "is not a sound file" in text
    assert "<h2>Length, s</h2><strong>0.9</strong>" in text
    with Image.open(pages / "index/a.wav.jpg") as picture:
        assert picture.size == (240, 122)


def test_what_is_of_one_recording_is_refused_for_several(weights, tmp_path, speechlike, capsys):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, speechlike(0.3)[0], 16_000)
    both = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "--weights", str(weights)]
    for options in (["p.html"], [str(tmp_path / "p"), "--reference", both[0]]):
        assert main([*both, "--report", *options]) == 2
        assert "several" in capsys.readouterr().err
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["a.wav", "b.wav"]
