"""The typer app and command that every domain uses: help, examples, names of options in errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from diff_core.command.naming import option_names
from diff_core.command.remote import with_addresses
from diff_core.files import writing

__all__ = ["App", "Command"]

F = TypeVar("F", bound=Callable[..., Any])

WORDS = {"bool": "", "int": "N", "float": "X", "str": "TEXT"}
"""The word for a value of each type; others are named as they are, in capitals."""

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class App(typer.Typer):
    """A typer app whose commands answer -h, show examples, and name options in errors.

    app = App()

    @app.command(examples={"in.wav": "Write in_denoised.wav beside it."})
    def denoise(...): ...
    """

    def __init__(self, **given: Any) -> None:
        settings: dict[str, Any] = {
            "add_completion": False,
            "pretty_exceptions_enable": False,
            "context_settings": HELP,
        }
        super().__init__(**settings | given)

    def command(
        self,
        name: str | None = None,
        *,
        examples: Mapping[str, str] | None = None,
        renamed: Mapping[str, str] | None = None,
        remote: bool = False,
        **given: Any,
    ) -> Callable[[F], F]:
        """Register a command; further arguments are typer's.

        examples: arguments of the command and what they do, one sentence: {"in.wav": "Write ..."}
        renamed:  the command's parameter by a name that errors of the library use instead, or the
                  option itself: {"limit_db": "limit", "float32": "--dtype float32"}
        remote:   whether its parameters `inputs` and `output` may be addresses (s3://...)
        """
        kind: Any = partial(Command, examples=examples or {}, renamed=renamed or {}, remote=remote)
        settings: dict[str, Any] = {"cls": kind, "context_settings": HELP}
        return super().command(name, **settings | given)


class Command(TyperCommand):
    """A command of an `App`.

    Its help has no types of flags and of lists of files, and a value's type in capitals.
    """

    def __init__(
        self,
        *args: Any,
        examples: Mapping[str, str],
        renamed: Mapping[str, str],
        remote: bool = False,
        **given: Any,
    ) -> None:
        super().__init__(*args, **given)
        self._examples, self._renamed, self._remote = examples, renamed, remote
        if self.help:  # typer joins the lines of the first paragraph alone
            self.help = "\n\n".join(map(_joined, self.help.split("\n\n")))
        for parameter in self.params:
            _simplify(parameter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors in it name its options.

        A command with --overwrite replaces no file without it, however late the file appears.
        """
        names = {p.name: max(p.opts, key=len) for p in self.params if isinstance(p, TyperOption)}
        own = {name: names.get(to, to) for name, to in self._renamed.items()}
        options = {str(name): option for name, option in {**names, **own}.items()}
        with option_names(options), writing(overwrite=ctx.params.get("overwrite")):
            work = partial(super().invoke, ctx)
            return with_addresses(ctx.params, options, work) if self._remote else work()

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters; the option --help is one of them."""
        found = super().get_params(ctx)
        for parameter in found:
            if parameter not in self.params:
                _simplify(parameter)
        return found

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line after the program's name."""
        pieces = [self.options_metavar] if self.options_metavar else []
        return [*pieces, *(_usage(p) for p in self.params if isinstance(p, TyperArgument))]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, with the examples at its end."""
        from rich.markup import escape

        if self._examples:
            lines = ["[bold]Examples[/bold]"]
            for words, meaning in self._examples.items():
                lines += ["", f"  {escape(meaning)}", f"  {escape(f'{ctx.command_path} {words}')}"]
            self.epilog = "\n".join(lines)
        super().format_help(ctx, formatter)


def _joined(paragraph: str) -> str:
    """Return a paragraph as one line; one with indented lines stays as it is."""
    if re.search(r"^\s", paragraph, re.MULTILINE):
        return paragraph
    return " ".join(paragraph.split("\n"))


def _simplify(parameter: Any) -> None:
    """Let a parameter show a word for its value, and nothing where it has none.

    An argument's name says what it is.
    """
    typers = getattr(parameter, "display_type_rich", None)
    if typers is None or parameter.metavar is not None and isinstance(parameter, TyperOption):
        return

    def shown(ctx: Any) -> str:
        if isinstance(parameter, TyperArgument):
            return ""
        found = re.fullmatch(r"<(\w+)(?: range)?>(\.\.\.)?", str(typers(ctx=ctx)))
        if found is None:  # choices: <draft|default|best>
            return str(typers(ctx=ctx)).strip("<>")
        return WORDS.get(found[1], found[1].upper()) + (found[2] or "")

    parameter.display_type_rich = shown


def _usage(argument: TyperArgument) -> str:
    name = argument.metavar or str(argument.name).upper()
    if argument.nargs != 1 and not name.endswith("..."):
        name += "..."
    return name if argument.required or name.startswith("[") else f"[{name}]"
