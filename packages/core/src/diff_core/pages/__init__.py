"""Pages for people: HTML in one file that asks nothing of a network; needs `diff-core[pages]`.

A template is a Jinja file in the folder `templates` of a package. It extends `base.html`, which
brings the frame, the colours (`theme` is "auto", as the reader's system has it, or "dark") and the
blocks `title`, `head`, `style`, `main` and `script`:

    {% extends "base.html" %}
    {% block style %}.card { background: var(--card) }{% endblock %}
    {% block main %}<h1>{{ title }}</h1>{% endblock %}

Every value is escaped unless it is `markupsafe.Markup`; a value that is missing is an error.
"""

from __future__ import annotations

import os

from diff_core.files import replacing

__all__ = ["render", "write_page"]


def render(package: str, template: str, /, **values: object) -> str:
    """Return the HTML of a page.

    package:  the package with the folder `templates`: "diff_audio.pages"
    template: the name of a file in it: "report.html"
    values:   what the template names; base.html takes `title` and, if given, `theme`
    Raises jinja2.UndefinedError for a value that the template needs and is not given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(package), PackageLoader(__name__)])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(**values)


def write_page(
    path: str | os.PathLike[str], package: str, template: str, /, **values: object
) -> None:
    """Write a page, whole or not at all; see `render`. Raises OSError where it cannot be written.

    Bytes of file names that are no UTF-8 are written as escapes.
    """
    text = render(package, template, **values)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
