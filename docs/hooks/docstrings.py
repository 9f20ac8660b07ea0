"""The docstrings of the packages, prepared for the pages of the reference.

A griffe extension (see mkdocs.yml). Formulas, which the docstrings write as indented plain text,
become MathML; lists of "name: meaning" become lists; what Markdown would take for markup in plain
text is escaped. `help()` shows the docstrings unchanged.
"""

from __future__ import annotations

import html
import re
from typing import Any

import griffe
from latex2mathml.converter import convert

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta lambda mu rho sigma tau phi psi pi Phi".split()
)
NAMED = {
    **{name: rf"\{name} " for name in GREEK},
    **{f"d{name}": rf"\,d\{name} " for name in GREEK},
    **{name: rf"\{name} " for name in ("exp", "ln", "log", "min", "max", "cos", "sin")},
    "eps": r"\epsilon ",
    "grad": r"\nabla ",
    "int": r"\int ",
    "integral": r"\int ",
    "sum": r"\sum ",
    "argmin": r"\operatorname{argmin}",
    "sb": r"\bar{s}",
}
SIGNS = {"<-": r"\leftarrow ", "->": r"\to ", "<=": r"\le ", ">=": r"\ge "}


class Readable(griffe.Extension):
    """Rewrite every docstring of a package after it has been read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        rewrite(pkg)


def rewrite(thing: griffe.Object) -> None:
    """Rewrite the docstring of a module, class or function, and those of its members."""
    if thing.docstring is not None:
        thing.docstring.value = markdown(thing.docstring.value)
    for name, member in list(thing.members.items()):
        if not member.is_alias:
            rewrite(member)  # type: ignore[arg-type]
        elif thing.is_init_module:
            del thing.members[name]  # shown once, where it is defined


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown, paragraph by paragraph."""
    first, *others = re.split(r"\n\s*\n", docstring)
    return "\n\n".join([escape(first), *(paragraph(text) for text in others)])


def paragraph(text: str) -> str:
    """Return indented text as a formula or code, other text as text or as a list of fields."""
    lines = text.split("\n")
    if all(line.startswith("    ") for line in lines):
        return formula(lines) if is_formula(text) else text
    done: list[str] = []
    listing = False
    for line in lines:
        # a colon in the middle of a sentence begins no list
        begins = listing or not done or done[-1].endswith((".", ":"))
        if begins and (found := FIELD.match(line)):
            done += [""] * (not listing) + [f"- `{found[1]}`: {escape(found[2])}"]
            listing = True
        elif found := BULLET.match(line):
            done += [""] * (not listing) + [f"- {escape(found[1])}"]
            listing = True
        elif listing and line.startswith("  "):
            done.append("    " + escape(line.strip()))
        else:
            done += [""] * listing + [escape(line)]
            listing = False
    return "\n".join(done)


FIELD = re.compile(r"^([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*): +(\S.*)$")

BULLET = re.compile(r"^\* +(\S.*)$")


def escape(text: str) -> str:
    """Return plain text with stars and brackets escaped, except inside `code`."""
    parts = text.split("`")
    for i in range(0, len(parts), 2):
        parts[i] = PLAIN.sub(lambda found: found[1] or ESCAPED[found[0]], parts[i])
    return "`".join(parts)


# a word between stars is meant to stand out
PLAIN = re.compile(r"(\*{1,2}[\w.-]+\*{1,2})|[*<>\[\]]")
ESCAPED = {"*": r"\*", "[": r"\[", "]": r"\]", "<": "&lt;", ">": "&gt;"}


def is_formula(text: str) -> bool:
    """Return true if an indented paragraph is mathematics, not code or a table of names."""
    return (
        not re.search(r"`|#|\bimport |\{[{%]|\w=\S|: \w+,|\.\.\.", text)
        and re.search(r"[=^<]|\|", text) is not None
    )


def formula(lines: list[str]) -> str:
    """Return a table without borders; two or more spaces separate the cells."""
    rows = [re.split(r" {2,}", line.strip()) for line in lines]
    width = max(len(row) for row in rows)
    cells = [[""] * (width - len(row)) + row if row[0] in "=+" else row for row in rows]
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(text)}</td>" for text in row) + "</tr>" for row in cells
    )
    return f'<table class="formula"><tbody>{body}</tbody></table>'


def cell(text: str) -> str:
    """Return MathML, or plain words if there are two in a row."""
    words = re.search(r"[A-Za-z-]{3,},? [a-z]{2,}|et al|^\(?equations? |^[A-Za-z-]{3,}$", text)
    if not text or (words and text not in NAMED and not re.search(r"[=^|]", text)):
        return html.escape(text)
    return convert(latex(text.replace(" ,", ",").replace(" .", ".")))


def latex(text: str) -> str:
    """Return LaTeX for a formula in plain text: "sigma_t^2 / alpha", "sqrt(1 - r^2)", "e^-d"."""
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    text = bracketed(text, "sqrt(", r"\sqrt{")
    text = bracketed(text, "^(", "^{")
    text = re.sub(r"\^T\b", r"^{\\top}", text)
    text = re.sub(r"([_^])(-?\w+)", lambda m: m[1] + "{" + names(m[2]) + "}", text)
    text = re.sub(r"(\w)\*", r"\1^{*}", text)
    return names(text)


def names(text: str) -> str:
    """Replace Greek letters and functions by their commands, and set other words upright."""

    def name(found: re.Match[str]) -> str:
        word = found[0]
        if word in NAMED:
            return NAMED[word]
        return word if len(word) == 1 or re.fullmatch("d[A-Za-z]", word) else rf"\mathrm{{{word}}}"

    return re.sub(r"(?<![\\A-Za-z{])[A-Za-z]+|(?<=[_^]\{)[A-Za-z]+", name, text)


def bracketed(text: str, opening: str, command: str) -> str:
    """`opening` ... ) replaced by `command` ... }, with the brackets in between matched."""
    while (start := text.find(opening)) >= 0:
        depth, end = 1, start + len(opening)
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = text[:start] + command + text[start + len(opening) : end - 1] + "}" + text[end:]
    return text
