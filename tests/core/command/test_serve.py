"""The page for a network: who is let in, whose files are whose, limits, and wrong use."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from diff_audio.serve import main
from diff_core.command.studio import Choices, Field, Limits, Made, Page, Tool, serve_network
from diff_core.command.studio.models import Models
from diff_core.command.studio.serve import is_local
from diff_core.command.studio.tasks import Tasks

TOKEN = "correct horse battery"
PROGRAM = f"""
import sys
from diff_core.command.studio import Limits, Made, Page, Tool, serve_network
from diff_core.command.studio.models import Models

def work(model, source, choices, advance):
    text = source.read_text()
    if text == "wait":
        open(sys.argv[1]).read()
    return Made(source, source)

load = lambda weights, device: None
tools = (
    Tool("file", "File", "x", "Go", load, work, "a text", (".txt",)),
    Tool("text", "Text", "x", "Go", load, work, text="Text"),
)
models = Models(Page("Try", "x", tools), None, "cpu")
limits = Limits(bytes=1 << 20, waiting=2, remedy="send a smaller one")
serve_network(
    models.page, models.work, host="127.0.0.1", port=0, token="{TOKEN}", limits=limits,
    name="try 1.0",
)
"""
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Answer = tuple[int, dict[str, str], Any]


class Server:
    """A server at a port of this machine; its tool waits for a line in `pipe`."""

    def __init__(self, port: int, pipe: Path) -> None:
        self.port, self.pipe = port, pipe

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = answer.getheader("content-type") == "application/json"
        facts = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, facts, json.loads(text) if is_json else text.decode()

    def sign_in(self, token: str = TOKEN, **headers: str) -> Answer:
        return self.ask("/sign-in", "POST", f"token={quote(token)}".encode(), **headers)

    def browser(self) -> dict[str, str]:
        """Headers of a browser that has signed in."""
        return {"Cookie": self.sign_in()[1]["set-cookie"].split(";")[0]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PROGRAM, str(pipe)]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert "who has the token" in line and TOKEN not in line
        found = re.search(r"http://127\.0\.0\.1:(\d+)/ ", line)
        assert found
        try:
            yield Server(int(found[1]), pipe)
        finally:
            process.send_signal(signal.SIGKILL)


def test_without_the_token_there_is_a_form_and_the_health_and_nothing_else(
    server: Server,
) -> None:
    status, facts, page = server.ask("/")
    assert status == 200 and 'type="password"' in page and "data-tool" not in page
    assert "form-action 'self'" in facts["content-security-policy"]
    for path, method in (("/tasks", "GET"), ("/tasks?name=a.txt", "POST"), ("/tasks/1", "DELETE")):
        status, facts, told = server.ask(path, method, b"x" if method == "POST" else b"")
        assert status == 401 and "Bearer TOKEN" in told["fault"], path
        assert facts["www-authenticate"] == "Bearer"
    for wrong in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer \xe9"):
        assert server.ask("/tasks", Authorization=wrong)[0] == 401
    assert server.ask("/tasks", Cookie="diff_session=guess")[0] == 401
    status, _, health = server.ask("/health")
    assert status == 200 and health["status"] == "ok" and health["software"] == "try 1.0"
    assert health["tools"] == ["file", "text"] and health["queue"] == 2


def test_a_browser_signs_in_and_stays_so(server: Server) -> None:
    status, facts, page = server.sign_in("wrong horse battery")
    assert status == 401 and "This is not the token." in page and "set-cookie" not in facts
    status, facts, _ = server.sign_in()
    assert (status, facts["location"]) == (303, ".")
    cookie = facts["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert TOKEN not in cookie
    assert "Secure" in server.sign_in(X_Forwarded_Proto="https")[1]["set-cookie"]
    status, _, page = server.ask("/", Cookie=cookie.split(";")[0])
    assert status == 200 and page.count("data-tool") >= 2


def test_everyone_sees_their_own_files_alone(server: Server) -> None:
    one, other = server.browser(), server.browser()
    status, _, task = server.ask("/tasks?tool=text", "POST", b"a  secret\ntext", **one)
    assert (status, task["name"]) == (201, "a secret text")
    address = f"/tasks/{task['number']}"
    while (told := server.ask(address, **one)[2])["state"] in ("waiting", "working"):
        pass
    assert told["state"] == "done"
    assert server.ask(f"{address}/result", **one)[2] == "a  secret\ntext"
    for headers in (other, BEARER):
        assert server.ask("/tasks", **headers)[2] == []
        for path, method in ((address, "GET"), (address, "DELETE"), (f"{address}/result", "GET")):
            assert server.ask(path, method, **headers)[0] == 404


def test_another_site_cannot_use_a_browser_that_has_signed_in(server: Server) -> None:
    browser = server.browser()
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 201)):
        answer = server.ask("/tasks?tool=text", "POST", b"x", Sec_Fetch_Site=site, **browser)
        assert answer[0] == status


def test_a_text_is_checked_at_the_door(server: Server) -> None:
    for body, fault in (
        (b" \n", "the text is empty"),
        (b"\xff", "the text is not UTF-8 (byte 0)"),
        (b"x" * 100_001, "the text has more than 100000 characters"),
        ("\N{GRINNING FACE}".encode() * 100_001, "the text has more than 100000 characters"),
    ):
        status, _, told = server.ask("/tasks?tool=text", "POST", body, **BEARER)
        assert status == 400 and told["fault"].startswith(fault)
    status, _, told = server.ask("/tasks?tool=sing", "POST", b"x", **BEARER)
    assert (status, told["fault"]) == (400, "tool is 'sing'; expected one of file, text")
    status, _, told = server.ask("/tasks?name=a.txt", "POST", bytes((1 << 20) + 1), **BEARER)
    assert (status, told["fault"]) == (413, "the file is larger than 1 MiB; send a smaller one")


def test_a_full_queue_is_seen_in_the_health(server: Server) -> None:
    while server.ask("/health")[2]["working"]:
        pass
    for _ in range(2):
        assert server.ask("/tasks?name=a.txt", "POST", b"wait", **BEARER)[0] == 201
    assert server.ask("/tasks?name=a.txt", "POST", b"x", **BEARER)[0] == 429
    health = server.ask("/health")[2]
    assert health["status"] == "full" and health["waiting"] + health["working"] == 2
    for done in (1, 2):
        server.pipe.write_text("go")
        while server.ask("/health")[2]["done"] < health["done"] + done:
            pass
    assert server.ask("/health")[2]["status"] == "ok"


def test_wrong_use_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIFF_TOKEN", raising=False)
    (tmp_path / "short").write_text("0123456789\n")
    for arguments, said in (
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in; name a token"),
        (["--host", "example.org"], "--host example.org lets other machines in"),
        (["--host", "::"], "--host :: lets other machines in"),
        (["--token-file", str(tmp_path / "short")], "has a token of 10 characters"),
        (["--token-file", str(tmp_path / "none")], "none cannot be read"),
        (["--queue", "0"], "--queue"),
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1
    monkeypatch.setenv("DIFF_TOKEN", "short")
    assert main([]) == 2
    assert "DIFF_TOKEN has a token of 5 characters" in capsys.readouterr().err


def test_no_network_without_a_token() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        assert is_local(host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        assert not is_local(host)
        with pytest.raises(ValueError, match="expected a token"):
            serve_network(
                PAGE, Models(PAGE, None, "cpu").work, host=host, port=0, token=None,
                limits=Limits(), name="x",
            )  # fmt: skip


def tool(name: str, reads: str = "", *, is_there: bool = True) -> Tool:
    """A tool whose model is the name of the file that it was read from, ending in `reads`."""

    def load(weights: Path | None, _device: str) -> str:
        if weights is not None and weights.name != reads:
            raise ValueError(f"{weights} is no {name}")
        return f"{name} of {weights}"

    def work(model: str, source: Path, _choices: Choices, _advance: object) -> Made:
        result = source.with_name("out.txt")
        result.write_text(model)
        return Made(result, result)

    return Tool(name, name, "x", "Go", load, work, text="x", is_there=is_there)


PAGE = Page("Try", "x", (tool("one", "1"), tool("two", "2", is_there=False), tool("three")))


def test_the_page_has_the_tools_whose_models_are_there(tmp_path: Path) -> None:
    assert [one.name for one in Models(PAGE, None, "cpu").page.tools] == ["one", "three"]
    models = Models(PAGE, Path("2"), "cpu")
    assert [one.name for one in models.page.tools] == ["one", "two", "three"]
    for name, model in (("two", "two of 2"), ("three", "three of None"), ("one", "one of None")):
        made = models.work(tmp_path / "in.txt", Choices("", 1.0, tool=name), lambda _share: None)
        assert made.result.read_text() == model
    with pytest.raises(ValueError, match="nothing is no one"):
        Models(PAGE, Path("nothing"), "cpu")


def over(limits: Limits, folder: Path) -> Tasks:
    """A queue through which one file has gone."""

    def work(source: Path, _choices: Choices, advance: Any) -> Made:
        advance(0.5)
        return Made(source, source)

    tasks = Tasks(folder, work, limits)
    place = tasks.place("a.txt")
    place.write_text("x")
    tasks.add(place, Choices("", 1.0))
    while tasks.state()["done"] + tasks.state()["failed"] == 0:
        pass
    tasks.close()
    return tasks


def test_work_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    (task,) = over(Limits(seconds=-1), tmp_path).all()
    assert task.state == "failed" and task.fault.startswith("stopped after -1 s of work")


def test_results_go_after_their_time(tmp_path: Path) -> None:
    assert len(over(Limits(hours=1), tmp_path).all()) == 1
    (tmp_path / "later").mkdir()
    assert over(Limits(hours=-1), tmp_path / "later").all() == []
    assert list((tmp_path / "later").iterdir()) == []


def test_a_number_has_its_range() -> None:
    field = Field("seed", "", "number", "1 to 9", low=1, high=9, usual=3, whole=True)
    assert (field.read(""), field.read("9"), field.show(9.0)) == (3, 9, "seed 9")
    for text in ("0", "10", "1.5", "nan", "inf", "x"):
        with pytest.raises(ValueError, match="seed is .*; expected 1 to 9"):
            field.read(text)
    assert Field("loudness", "", "number", "", low=-70, high=0).read("-16") == -16
