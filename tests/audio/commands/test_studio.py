"""The page of `diff-audio studio`, over HTTP."""

import io
import re
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

from diff_audio.denoise import main as denoise
from diff_audio.sound.read import probe
from diff_audio.studio import main
from media import encode
from studio_client import running

pytestmark = pytest.mark.slow

RATE = 16_000
LARGEST = 1 << 20


@pytest.fixture(scope="module")
def studio(weights, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("studio")
    with running("diff_audio.studio", scratch, "--weights", str(weights), "--largest", "1") as it:
        yield it


@pytest.fixture
def sound(speechlike):
    buffer = io.BytesIO()
    soundfile.write(buffer, speechlike(1.5, RATE).T, RATE, "PCM_24", format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize(("quality", "amount"), [("best", 1.0), ("default", 0.4)])
def test_the_result_is_the_file_that_the_command_writes(
    studio, sound, weights, tmp_path, quality, amount
):
    task, result = studio.result("in.wav", sound, quality=quality, amount=amount)
    assert task["result"] == "in_denoised.wav"
    (tmp_path / "in.wav").write_bytes(sound)
    options = ["--weights", str(weights), "--quality", quality, "--mix", str(amount), "--quiet"]
    assert denoise([str(tmp_path / "in.wav"), *options]) == 0
    assert result == (tmp_path / "in_denoised.wav").read_bytes()
    assert result != sound


def test_the_options_are_those_of_the_command(studio, sound, weights, tmp_path):
    task, result = studio.result("in.wav", sound, limit="12", separate="on", keep_noise="on")
    assert task["options"] == ["limit 12", "separate", "keep-noise"]
    assert task["further"] == {"removed": "in_removed.wav"}
    (tmp_path / "in.wav").write_bytes(sound)
    options = ["--weights", str(weights), "--limit", "12", "--separate", "--keep-noise", "--quiet"]
    assert denoise([str(tmp_path / "in.wav"), *options]) == 0
    assert result == (tmp_path / "in_denoised.wav").read_bytes()
    removed = studio.ask(f"tasks/{task['number']}/removed")[1]
    assert removed == (tmp_path / "in_removed.wav").read_bytes()


def test_a_memo_is_taken_as_the_command_takes_it(studio, speechlike, weights, tmp_path):
    memo = encode(tmp_path / "memo.m4a", 0.3 * speechlike(1.0, RATE), RATE)
    task, result = studio.result("memo.m4a", memo.read_bytes())
    assert task["result"] == "memo_denoised.m4a"
    (tmp_path / "made.m4a").write_bytes(result)
    assert probe(tmp_path / "made.m4a").subtype == "AAC"
    video = encode(tmp_path / "talk.webm", 0.3 * speechlike(1.0, RATE), RATE, "-c:a", "libopus")
    assert studio.result("talk.webm", video.read_bytes())[0]["result"] == "talk_denoised.m4a"
    assert studio.send("old.dsf", b"DSD ")[1]["fault"].startswith(".dsf files are not read;")


def test_the_page_about_it_plays_both_and_asks_nothing_of_a_network(studio, sound):
    task, _ = studio.result("<b>&.wav", sound)
    number = task["number"]
    status, page = studio.ask(f"tasks/{number}/page")
    assert status == 200
    text = page.decode()
    assert re.findall(r'<audio id="(\w+)"', text) == ["before", "after", "removed"]
    assert "<b>&.wav" not in text and str(studio.scratch) not in text
    front = studio.ask("")[1].decode()
    for html in (text, front):
        assert re.findall(r'(?:src|href)="(?!data:|#)', html) == []
    assert studio.ask(f"tasks/{number}/report")[1] == page
    # a page that is opened again finds what was made
    assert str(number) in studio.ask("tasks")[1].decode()


def test_it_listens_on_loopback_only(studio):
    port = urlsplit(studio.address).port
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    with pytest.raises(OSError):  # this machine too, but another address of it
        socket.create_connection(("127.0.0.2", port), 5)


def test_nothing_outside_is_served(studio, sound):
    number = studio.result("a.wav", sound)[0]["number"]
    for path in ("", "tasks", f"tasks/{number}/result"):
        assert studio.ask(f"/{path}")[0] == 404  # without the key
        assert studio.ask(f"/{'x' * 22}/{path}")[0] == 404
    outside = ["../../../../../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/etc/passwd"]
    for path in (*outside, "a.wav", "../1/a.wav", "%2Fetc%2Fpasswd"):
        status, body = studio.ask(f"tasks/{number}/{path}")
        assert status == 404 and b"root:" not in body
    assert studio.ask("tasks/99")[0] == 404
    # a name that a stranger's server gives to this machine
    assert studio.ask("", Host="rebound.example")[0] == 400


@pytest.mark.parametrize("name", ["../../out.wav", "..\\..\\out.wav", "/tmp/out.wav"])
def test_an_upload_cannot_leave_its_folder(studio, sound, name):
    before = {path for path in studio.scratch.rglob("*") if path.is_file()}
    status, task = studio.send(name, sound)
    assert (status, task["name"]) == (201, "out.wav")
    studio.finished(task["number"])
    new = {path for path in studio.scratch.rglob("*") if path.is_file()} - before
    assert {path.parent.name for path in new} == {str(task["number"])}


def test_faults_are_one_clear_line(studio, sound):
    status, told = studio.send("a.txt", b"hello")
    assert status == 415 and "files end with .wav" in told["fault"]
    assert studio.send(".wav", sound)[0] == 415
    status, told = studio.send("a.wav", bytes(LARGEST + 1))
    assert status == 413 and "larger than 1 MiB" in told["fault"]
    assert studio.send("a.wav", b"")[1]["fault"] == "the file is empty (0 bytes)"
    assert "expected one of" in studio.send("a.wav", sound, quality="ultra")[1]["fault"]
    for amount in ("1.5", "nan", "much"):
        assert "0 to 1" in studio.send("a.wav", sound, amount=amount)[1]["fault"]
    status, task = studio.send("a.wav", b"this is not sound" * 9)
    told = studio.finished(task["number"])
    assert status == 201 and told["state"] == "failed"
    assert told["fault"] and "\n" not in told["fault"] and str(studio.scratch) not in told["fault"]
    assert studio.ask(f"tasks/{task['number']}/result")[0] == 404


def test_files_wait_for_their_turn_and_can_be_taken_back(studio, weights):
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    soundfile.write(buffer, rng.normal(0, 0.1, 25 * RATE), RATE, "PCM_16", format="WAV")
    numbers = [studio.send("a.wav", buffer.getvalue(), quality="best")[1]["number"] for _ in "abc"]
    assert studio.ask(f"tasks/{numbers[2]}", "DELETE")[0] == 200
    states = [studio.finished(number)["state"] for number in numbers]
    assert states == ["done", "done", "stopped"]


def test_a_port_that_is_taken_is_told(studio, weights, capsys):
    port = str(urlsplit(studio.address).port)
    assert main(["--port", port, "--no-browser", "--weights", str(weights)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"diff_audio.studio: port {port}: ") and told.count("\n") == 1
