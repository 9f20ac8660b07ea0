"""File names that act on terminals, logs and spreadsheets."""

import csv
import io
import logging

import pytest

from diff_core.command import Failures
from diff_core.command.progress import bar
from diff_core.lines import cell, log_lines, print_line, printable

HOSTILE = "a\nforged: line\x1b[31m\x1b]0;title\x07\u202e\udcff\u2028[/bold].wav"
SHOWN = r"a\nforged: line\x1b[31m\x1b]0;title\x07\u202e\udcff\u2028[/bold].wav"


def test_a_name_is_one_line_without_control_characters():
    assert printable(HOSTILE) == SHOWN
    plain = "Grüße 録音\u3000日本 №1 [x] 'y' \"z\" \\ =a.wav"
    assert printable(plain) == plain


def test_a_name_is_escaped_wherever_a_command_prints_it(capsys):
    print_line(HOSTILE)
    Failures("try").add(HOSTILE, "is damaged")
    Failures("try").add("a", OSError(2, "No such file", HOSTILE))
    shown = capsys.readouterr()
    assert shown.out == SHOWN + "\n"
    assert shown.err.splitlines()[0] == f"try: {SHOWN}: is damaged"
    assert len(shown.err.splitlines()) == 2 and SHOWN in shown.err.splitlines()[1]


def test_the_log_has_one_line_a_warning(capsys):
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        log_lines("100 %")
        logging.getLogger("x").warning("left out %s", HOSTILE)
    finally:
        root.handlers = handlers
    assert capsys.readouterr().err == f"100 %: left out {SHOWN}\n"


def test_the_bar_shows_a_name_as_it_is(monkeypatch, capsys):
    """Brackets are markup for rich, which would end in an error."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with bar(1.0, quiet=False) as progress:
        progress.at(0.5, HOSTILE)
    shown = capsys.readouterr().err
    assert "\x1b]0;title" not in shown and "\nforged" not in shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "  =1", "\t=1", "=HYPERLINK(1)\n"])
def test_no_cell_is_a_formula(text):
    """As a spreadsheet decides: by the first character that is no space."""
    file = io.StringIO()
    csv.writer(file).writerow([cell(text), "x"])
    (row,) = csv.reader(io.StringIO(file.getvalue()))
    assert len(row) == 2 and row[0].strip()[0] in "'\\" and row[0].endswith(printable(text))


def test_other_cells_stay():
    assert cell("a-b=c.wav") == "a-b=c.wav" and cell("") == ""
