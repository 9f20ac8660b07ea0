"""The studio against many uploads, strangers at its port, and wrong options."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diff_core.command.studio import Choices, Field, Limits, Made
from diff_core.command.studio.tasks import Full, Tasks

PROGRAM = """
import sys
from diff_core.command.studio import Field, Limits, Made, Page, Tool, connections, serve
from diff_core.command.studio.models import Models

connections.PATIENCE = 2.0

def work(model, source, choices, advance):
    open(sys.argv[1]).read()  # until the test writes to the pipe
    result = source.with_name("out.txt")
    result.write_text(repr(choices))
    return Made(result, result, {"rest": result})

fields = (
    Field("limit", "Limit", "number", "a number"),
    Field("apart", "Apart", "flag", "x"),
    Field("kind", "Kind", "choice", "mr or ct", ("auto", "mr", "ct")),
    Field("sigma", "Level", "text", "auto or a number", pattern="auto|[0-9]+"),
)
unread = {".doc": "not read; save them as .txt"}
tool = Tool(
    "try", "Try", "x", "Go", lambda weights, device: None, work, "a text", (".txt",), unread,
    qualities={"default": "x"}, amount="x", fields=fields,
)
models = Models(Page("Try", "x", (tool,)), None, "cpu")
serve(models.page, models.work, port=0, browser=False, limits=Limits(1 << 20), name="try")
"""
MOST_WAITING, KEPT = Limits().waiting, Limits().kept
FILES = 192  # that the server may have open


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[str, int, Path, Path]]:
    """The path of a studio, its port, its pipe, and the file with its standard error."""
    pipe, log = tmp_path / "pipe", tmp_path / "log"
    os.mkfifo(pipe)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(pipe)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
        ) as process,
    ):
        assert process.stdout
        found = re.search(r":(\d+)(/[\w-]{20,}/)", process.stdout.readline())
        assert found
        try:
            yield found[2], int(found[1]), pipe, log
        finally:
            process.send_signal(signal.SIGKILL)


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    is_json = answer.getheader("content-type") == "application/json"
    return answer.status, json.loads(text) if is_json else text


def test_a_file_that_is_not_taken_has_its_reason(studio: tuple[str, int, Path, Path]) -> None:
    path, port, _, _ = studio
    for name, fault in (
        ("a.DOC", ".doc files are not read; save them as .txt"),
        ("a.pdf", "this is not a text; files end with .txt"),
        (".txt", "this is not a text; files end with .txt"),
    ):
        status, told = ask(port, f"{path}tasks?name={name}", "POST", b"x")
        assert (status, told["fault"]) == (415, fault)


@pytest.mark.slow
def test_twenty_uploads_at_once_are_no_more_than_may_wait(
    studio: tuple[str, int, Path, Path], tmp_path: Path
) -> None:
    path, port, pipe, _ = studio
    statuses: list[int] = []
    together = threading.Barrier(20)

    def send() -> None:
        door = socket.create_connection(("127.0.0.1", port), 60)
        together.wait()
        head = f"POST {path}tasks?name=a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        door.sendall(f"{head}Connection: close\r\n\r\n".encode() + b"half")
        together.wait()  # all are on their way
        door.sendall(b" half")
        statuses.append(int(door.makefile("rb").readline().split()[1]))
        door.close()

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * MOST_WAITING + [429] * (20 - MOST_WAITING)
    folder = next(tmp_path.glob("diff-studio-*"))
    assert len(list(folder.iterdir())) == MOST_WAITING
    pipe.write_text("go")  # one is let through
    while (answer := ask(port, f"{path}tasks?name=b.txt", "POST", b"text"))[0] == 429:
        assert "files wait already" in answer[1]["fault"]
    assert answer[0] == 201
    assert len(list(folder.iterdir())) == MOST_WAITING + 1


@pytest.mark.slow
def test_strangers_at_the_port_neither_stop_it_nor_fill_its_log(
    studio: tuple[str, int, Path, Path],
) -> None:
    path, port, _, log = studio
    doors = []
    for number in range(FILES + 32):
        door = socket.create_connection(("127.0.0.1", port), 60)
        doors.append(door)
        try:
            door.sendall(b"GET / HTTP/1.1\r\nHost: x" if number % 2 else b"\0nonsense\r\n\r\n")
        except OSError:
            pass  # it was closed to make room
    for _ in range(3):
        assert ask(port, path)[0] == 200
    for door in doors:
        door.settimeout(60)
        try:
            while door.recv(1000):
                pass
        except ConnectionError:
            pass  # closed by the studio, every one, without a further byte of ours
        door.close()
    assert ask(port, path)[0] == 200
    assert len(log.read_text().splitlines()) < 100


def test_options_are_checked_at_the_door_and_reach_the_work(
    studio: tuple[str, int, Path, Path],
) -> None:
    path, port, pipe, _ = studio
    for query, fault in (
        ("limit=-1", "limit is '-1'; expected a number"),
        ("limit=nan", "limit is 'nan'"),
        ("kind=pet", "kind is 'pet'; expected mr or ct"),
        ("apart=maybe", "apart is 'maybe'"),
        ("sigma=..%2Fmap.nii", "sigma is '../map.nii'; expected auto or a number"),
    ):
        status, answer = ask(port, f"{path}tasks?name=a.txt&{query}", "POST", b"text")
        assert status == 400 and answer["fault"].startswith(fault), answer
    query = "name=a.txt&limit=20&apart=on&kind=ct&sigma=7"
    status, task = ask(port, f"{path}tasks?{query}", "POST", b"text")
    assert status == 201 and task["options"] == ["limit 20", "apart", "kind ct", "sigma 7"]
    pipe.write_text("go")
    address = f"{path}tasks/{task['number']}"
    while (task := ask(port, address)[1])["state"] in ("waiting", "working"):
        pass
    assert task["further"] == {"rest": "out.txt"}
    text = ask(port, f"{address}/rest")[1].decode()
    assert "{'limit': 20.0, 'apart': True, 'kind': 'ct', 'sigma': '7'}" in text


def test_a_field_left_as_it_is_has_its_usual_value() -> None:
    assert Field("a", "", "number", "").read("") is None
    assert Field("a", "", "flag", "").read("") is False
    assert Field("a", "", "choice", "", ("x", "y")).read("") == "x"
    assert Field("a", "", "text", "", pattern="auto|x").read("") == "auto"


def test_old_results_are_removed(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path, lambda source, _choices, _advance: Made(source, source))
    for number in range(KEPT + 5):
        while True:
            try:
                place = tasks.place(f"{number}.txt")
                break
            except Full:
                pass
        place.write_text("x")
        tasks.add(place, Choices("default", 1.0))
    while any(task.state != "done" for task in tasks.all()):
        pass
    tasks.close()
    assert [task.source.name for task in tasks.all()] == [f"{n}.txt" for n in range(5, KEPT + 5)]
    assert len(list(tmp_path.iterdir())) == KEPT


def test_a_place_is_taken_until_its_file_is_over(tmp_path: Path) -> None:
    go = threading.Event()

    def work(source: Path, _choices: Choices, _advance: object) -> Made:
        go.wait()
        return Made(source, source)

    tasks = Tasks(tmp_path, work)
    try:
        places = [tasks.place("a.txt") for _ in range(MOST_WAITING)]
        with pytest.raises(Full):
            tasks.place("a.txt")
        tasks.give_back(places.pop())
        assert len(list(tmp_path.iterdir())) == MOST_WAITING - 1
        places.append(tasks.place("a.txt"))
        for place in places:
            place.write_text("x")
            tasks.add(place, Choices("default", 1.0))
        with pytest.raises(Full):
            tasks.place("a.txt")
        for task in tasks.all()[1:]:
            tasks.stop(task)
        assert tasks.place("b.txt").parent.is_dir()
    finally:
        go.set()
        tasks.close()
