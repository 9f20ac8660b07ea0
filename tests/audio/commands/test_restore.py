"""`python -m diff_audio.restore` and `python -m diff_audio.provenance` on real files."""

import json

import numpy as np
import pytest
import soundfile

from diff_audio.provenance import main as provenance
from diff_audio.provenance import tell
from diff_audio.restore import main
from diff_audio.sound.mark import marked
from diff_audio.weights import path_of
from pages import ROOT
from small_restorer import save_restorer


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_restorer(tmp_path_factory.mktemp("restorer") / "small.safetensors")


@pytest.fixture(scope="module")
def bypass(tmp_path_factory):
    return save_restorer(tmp_path_factory.mktemp("restorer") / "small.safetensors", trained=False)


@pytest.mark.slow
def test_a_telephone_call_becomes_a_wide_file_that_says_what_it_is(
    weights, tmp_path, speechlike, capsys
):
    call = tmp_path / "call.wav"
    soundfile.write(call, speechlike(1.5, 8_000).T, 8_000, "ULAW")
    arguments = [str(call), "--weights", str(weights), "--draws", "2", "--steps", "2", "--json"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    outcome = json.loads(out)
    made = tmp_path / "call_restored.wav"
    info = soundfile.info(made)
    assert (info.samplerate, info.subtype, info.channels) == (22_050, "PCM_16", 1)
    assert info.frames == outcome["frames"] == round(1.5 * 22_050)
    assert len(outcome["spread"]) == 2 and min(outcome["spread"]) > 0
    record = json.loads((tmp_path / "call_restored.wav.json").read_text())
    assert record["synthetic"] and record["spread_db"] == outcome["spread"]
    assert "may be invented most" in err
    assert main(arguments) == 1 and "exists" in capsys.readouterr().err
    told = tell(made)
    assert told.synthetic and told.sidecar and "restored by diff_audio" in told.tag


def test_a_level_and_a_rate_stay_and_tags_come_along(bypass, tmp_path, speechlike):
    wave = 0.1 * speechlike(1.0, 44_100, 2)
    source = tmp_path / "in.flac"
    with soundfile.SoundFile(source, "w", 44_100, 2) as file:
        file.title = "Tape 3"
        file.write(wave.T)
    assert main([str(source), "--weights", str(bypass), "--steps", "1", "--quiet"]) == 0
    with soundfile.SoundFile(tmp_path / "in_restored.flac") as file:
        made = file.read().T
        assert file.samplerate == 44_100 and file.title == "Tape 3"
    assert made.shape == wave.shape
    assert 0.7 < np.std(made) / np.std(wave) < 1.4


def test_without_weights_one_line_says_what_to_do(tmp_path, speechlike, capsys, monkeypatch):
    monkeypatch.setattr("diff_audio.restore.path_of", lambda name: tmp_path / "none.safetensors")
    source = tmp_path / "in.wav"
    soundfile.write(source, speechlike(0.5).T, 16_000)
    assert main([str(source)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "train restore" in err and "--weights" in err
    assert not (tmp_path / "in_restored.wav").exists()
    wrong = ["--weights", str(path_of("vocoder"))]
    assert main([str(source), *wrong]) == 1 and capsys.readouterr().err.count("\n") == 1
    assert main([str(source), "--steps", "9"]) == 2 and "--steps" in capsys.readouterr().err


def test_provenance_tells_files_apart(tmp_path, capsys):
    wave, rate = soundfile.read(ROOT / "examples/speech_clean.wav")
    soundfile.write(tmp_path / "plain.wav", wave, rate)
    soundfile.write(tmp_path / "spoken.ogg", marked(wave, rate, "say"), rate)
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    files = [str(tmp_path / name) for name in ("plain.wav", "spoken.ogg")]
    assert provenance(files) == 0
    plain, spoken = capsys.readouterr().out.splitlines()
    assert plain.endswith("plain.wav: no mark found") and "mark of speech made of a text" in spoken
    assert provenance([*files, str(tmp_path / "noise.wav"), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("synthetic") for row in rows] == [False, True, None] and rows[2]["error"]
    assert rows[1]["found"][0]["kind"] == "say"


@pytest.mark.slow
def test_what_say_speaks_bears_the_mark(tmp_path):
    from diff_audio.say import main as say

    text = "The weather was cold and the river was high in the morning. Nobody came to see it."
    assert say([text, "-o", str(tmp_path / "a.wav"), "--quiet"]) == 0
    samples, rate = soundfile.read(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.mp3", samples[rate // 3 :], rate)  # no tags, no sidecar
    told = tell(tmp_path / "b.mp3")
    assert told.found and told.found[0].kind == "say" and not told.tag and not told.sidecar
