"""Rules of style that no linter here holds: short functions, plain docstrings and errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parent.parent / "packages"
SOURCES = sorted(PACKAGES.glob("*/src/**/*.py"))

LINES, PARAMETERS = 80, 12
WORDS = {"Of", "What", "Whether", "How"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function of a module, methods and inner functions too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def is_command(function: Function) -> bool:
    """Whether it is decorated as a command: `@app.command(...)` or `@app.callback(...)`."""
    calls = (node.func for node in function.decorator_list if isinstance(node, ast.Call))
    return any(isinstance(f, ast.Attribute) and f.attr in ("command", "callback") for f in calls)


def length(function: Function) -> int:
    """Lines from `def` to the end; of a command those of its body, for its options are a table."""
    first = function.body[0].lineno if is_command(function) else function.lineno
    assert function.end_lineno
    return function.end_lineno - first + 1


def parameters(function: Function) -> int:
    """Parameters but `self` and `cls`; none of a command, whose parameters are its options.

    A constructor's keywords are settings, as the fields of a dataclass are, and do not count.
    """
    if is_command(function):
        return 0
    given = function.args
    counted = [*given.posonlyargs, *given.args]
    if function.name != "__init__":
        counted += given.kwonlyargs
    return len([a for a in counted if a.arg not in ("self", "cls")])


def is_of_commands(tree: ast.Module) -> bool:
    """Whether a module belongs to the command line: it imports typer."""
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if "typer" in names:
            return True
    return False


def flags(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each error of the library that speaks of an option of the command line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc and not is_of_commands(tree):
            for part in ast.walk(node.exc):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    if re.search(r"(?<![\w-])--[a-z]", part.value):
                        yield part.lineno, part.value


def faults(text: str, where: str = "") -> list[str]:
    """Every rule that the text of a module breaks, with its place."""
    tree = ast.parse(text)
    found: list[str] = []
    for function in functions(tree):
        name = f"{where}:{function.lineno} {function.name}"
        if (lines := length(function)) > LINES:
            found.append(f"{name} has {lines} lines; at most {LINES}")
        if (count := parameters(function)) > PARAMETERS:
            found.append(f"{name} has {count} parameters; at most {PARAMETERS}")
    for line, said in flags(tree):
        found.append(f"{where}:{line} an error of the library names an option: {said!r}")
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (doc := ast.get_docstring(node)):
            word = doc.split(maxsplit=1)[0].rstrip(",.:;") if doc.split() else ""
            if word in WORDS:
                name = getattr(node, "name", "the module")
                line = getattr(node, "lineno", 1)
                found.append(f"{where}:{line} {name}: its docstring begins with {word!r}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGES)))
def test_a_module_keeps_the_rules(path: Path) -> None:
    found = faults(path.read_text(encoding="utf-8"), str(path.relative_to(PACKAGES.parent)))
    assert not found, "\n".join(found)


def test_modules_of_all_packages_are_looked_at() -> None:
    assert {path.relative_to(PACKAGES).parts[0] for path in SOURCES} == {
        "core",
        "audio",
        "medical",
    }


LONG = "def f():\n" + "    x = 1\n" * LINES
MANY = ", ".join(f"a{i}" for i in range(PARAMETERS + 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (LONG, "f has 81 lines"),
        ("class A:\n" + "".join(f"    {line}\n" for line in LONG.splitlines()), "f has 81 lines"),
        ("def g():\n    def f():\n" + "        x = 1\n" * LINES, "f has 81 lines"),
        (f"def f({MANY}): pass", "f has 13 parameters"),
        (f"async def f(a, /, *, {MANY}): pass", "f has 14 parameters"),
        (f"@cache\ndef f({MANY}): pass", "f has 13 parameters"),
        ("@app.command()\n" + LONG, ""),
        ("@app.command('x')\n" + LONG + "    x = 1\n", "f has 81 lines"),
        (f"@app.command()\ndef f({MANY}): pass", ""),
        (f"def f(self, {MANY.removesuffix(', a12')}): pass", ""),
        (f"def __init__(self, {MANY}): pass", "__init__ has 13 parameters"),
        (f"def __init__(self, *, {MANY}): pass", ""),
        ('"""What it is."""', "begins with 'What'"),
        ('def f():\n    """Of a thing."""', "f: its docstring begins with 'Of'"),
        ('class A:\n    """How, if at all."""', "A: its docstring begins with 'How'"),
        ('class A:\n    def f(self):\n        """Whether."""', "begins with 'Whether'"),
        ("raise ValueError('add --overwrite')", "names an option"),
        ("def f():\n    raise Bad(p, f'{x} is bad', 'give --sigma')", "names an option"),
        ("import typer\nraise typer.BadParameter('add --overwrite')", ""),
        ("raise ValueError('add overwrite=True -- or not')", ""),
        ('"""Often used. What it is."""\ndef f():\n    """The whole."""', ""),
    ],
)
def test_each_rule_is_held(text: str, fault: str) -> None:
    found = faults(text)
    assert any(fault in line for line in found) if fault else not found
