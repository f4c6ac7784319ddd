"""What every command shares: how its help reads, how its values are read, and what stands after "--".

Typer 0.29 imports pydantic to make text of text: 80 ms and 10 MB, before a command could begin. Here the few plain
kinds of values are read without it.
"""

from __future__ import annotations

import inspect
import shutil
from collections import UserDict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from oomguard.cli.console import OWN_FAILURE
from oomguard.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Click's own least width is 50; lines of more than 100 characters are tiring.
SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "terminal_width": min(max(shutil.get_terminal_size().columns, 40), 100),
}
_WRONG_ARGUMENTS = 2
_AFTER_DASHES = "oomguard.after_dashes"  # in the context's meta


class _AsGiven:
    """Takes a value as it is, in the place of Typer's converter; makes a number or a path of it where one is asked for.

    The annotation must be text, bool, int, Path, or a list of text: nothing else is known here.
    """

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """Raises: BadParameter for what is not a number."""
        annotation = param.type_descriptor.annotation
        if value is None or annotation not in (int, Path):
            return value
        try:
            return annotation(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is not a whole number", ctx=ctx, param=param) from error


def choice(values: tuple[str, ...], help_text: str, *names: str, aliases: dict[str, str] | None = None) -> Any:
    """An option that takes one of `values`, which its help lists; `aliases` are taken silently, too."""

    def check(given: str | None) -> str | None:
        if given is None or given in values:
            return given
        if aliases and given in aliases:
            return aliases[given]
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(values)}")

    return typer.Option(*names, metavar=f"[{'|'.join(values)}]", callback=check, help=help_text)


def at_least(least: int, metavar: str, help_text: str, *names: str, most: int | None = None) -> Any:
    """An option or an argument that takes a whole number in a range."""

    def check(given: int | None) -> int | None:
        if given is None or (given >= least and (most is None or given <= most)):
            return given
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise typer.BadParameter(f"{given} is not {bounds}")

    kind = typer.Option if names else typer.Argument
    return kind(*names, metavar=metavar, callback=check, help=help_text)


def refuse(what: str, *, do: str, of_a_program: bool = False) -> NoReturn:
    """Refuse arguments whose remedy is known: `do` takes the place of the command's --help.

    `of_a_program`: for run and profile, where any status but one may be the program's own. Raises: BadInput.
    """
    error = BadInput(what, do=do)
    error.exit_status = OWN_FAILURE if of_a_program else _WRONG_ARGUMENTS
    raise error


def refuse_unless_program(ctx: Any, words: Sequence[str], *, cannot: str, own: str, do: str) -> NoReturn:
    """Refuse words that are neither prepare nor behind --; `own`: what to do where they are a command of ours.

    Raises: BadInput.
    """
    root = ctx.find_root()
    if words[0] in root.command.list_commands(root):
        what = f'"{words[0]}" cannot {cannot}: of oomguard\'s own commands only prepare can'
        refuse(what, do=own, of_a_program=True)
    what = f'"{words[0]}" is not a command of oomguard; a program of yours belongs after --'
    refuse(what, do=do, of_a_program=True)


class _Styled:
    """The help of a command or a group: no types in angle brackets, no braces, nothing cut short."""

    params: list[Any]
    help: str | None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options as they are, without Typer's converters."""
        for param in self.get_params(ctx):  # type: ignore[attr-defined]  # Typer's own, of the other base
            if hasattr(param, "get_runtime_param"):  # since Typer 0.26; before, it needs no pydantic
                param.get_runtime_param = _AsGiven
        left: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]  # as above
        return left

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name in its usage line."""
        arguments = [param.metavar or param.name.upper() for param in _arguments(self, ctx)]
        group = [getattr(self, "usage", "COMMAND [ARGS]...")] if isinstance(self, TyperGroup) else []
        return ["[OPTIONS]", *arguments, *group]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer passes it
        """Write the paragraphs of the help; an example is a command to paste, which is never broken."""
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            formatter.write_paragraph()
            if paragraph.startswith("Example: "):
                formatter.write(f"  {paragraph}\n")
                continue
            with formatter.indentation():
                formatter.write_text(" ".join(paragraph.split()))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options and, of a group, the commands."""
        arguments = [(param.metavar or param.name.upper(), param.help or "") for param in _arguments(self, ctx)]
        options = [
            record
            for param in self.get_params(ctx)  # type: ignore[attr-defined]  # as above
            if param.param_type_name == "option" and (record := param.get_help_record(ctx))
        ]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                _write_rows(formatter, title, rows)
        if isinstance(self, TyperGroup):
            commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
            rows = [(name, _first_line(command)) for name, command in commands if not command.hidden]
            _write_rows(formatter, "Commands", rows)


class Command(_Styled, TyperCommand):
    """A command with plain options."""


class Group(_Styled, TyperGroup):
    """A group of commands with plain options of its own."""

    later: ClassVar[dict[str, str]] = {}  # name: "module:function", ":class" where it is not Command; see LaterCommands

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what Typer gives, and the commands that are imported later."""
        super().__init__(*args, **kwargs)
        self.commands = LaterCommands(self.later, self.commands)


class LaterCommands(UserDict[str, Any]):
    """Commands by name, each imported when it is asked for."""

    def __init__(self, later: dict[str, str], known: Mapping[str, Any]) -> None:
        """`known` are there already."""
        super().__init__(later)
        self.data.update(known)

    def __getitem__(self, name: str) -> Any:
        """The command, imported now if it was not. Raises: KeyError."""
        found = self.data[name]
        if isinstance(found, str):
            found = self.data[name] = _imported(name, *found.split(":"))
        return found


def _imported(name: str, module: str, function: str, kind: str = "") -> Any:
    read = import_module(module)
    found = getattr(read, function)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=getattr(read, kind) if kind else Command)(found)
    return typer.main.get_command(alone)


class RunsProgram:
    """Mixed into a command or group that takes `-- PROGRAM ...`: the program is put aside before options are read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what stands after the first "--" that is not an option's value."""
        end = _end_of_ours(args, _with_value(self, ctx), getattr(self, "commands", {}))
        if end is not None:
            ctx.meta[_AFTER_DASHES] = tuple(args[end + 1 :])
            args = args[:end]
        left: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]  # the command's, which this is mixed into
        return left


def program_of(ctx: Any) -> tuple[str, ...] | None:
    """What stood after "--"; None where there was no "--"."""
    found: tuple[str, ...] | None = ctx.meta.get(_AFTER_DASHES)
    return found


def job_index(args: list[str], name: str, command: Any, ctx: Any) -> int | None:
    """Where the job of ours called `name` begins in `args`; None where it is not there, or behind "--"."""
    is_value, with_value = False, _with_value(command, ctx)
    for number, arg in enumerate(args):
        if not is_value and arg in ("--", name):
            return number if arg == name else None
        is_value = not is_value and arg in with_value
    return None


def _end_of_ours(args: list[str], with_value: set[str], commands: Any) -> int | None:
    """Where our "--" is. One behind the name of a command of ours belongs to that command."""
    is_value = False
    for number, arg in enumerate(args):
        if not is_value and (arg == "--" or arg in commands):
            return number if arg == "--" else None
        is_value = not is_value and arg in with_value
    return None


def _with_value(command: Any, ctx: Any) -> set[str]:
    options = [param for param in command.get_params(ctx) if param.param_type_name == "option"]
    return {name for param in options if not param.is_flag for name in param.opts}


def _arguments(command: Any, ctx: Any) -> list[Any]:
    return [param for param in command.get_params(ctx) if param.param_type_name == "argument" and not param.hidden]


def _write_rows(formatter: Any, title: str, rows: list[tuple[str, str]]) -> None:
    with formatter.section(title):
        formatter.write_dl(rows, col_max=min(30, formatter.width * 2 // 5))


def _first_line(command: Any) -> str:
    return str(command.short_help or command.help or "").partition("\n")[0]


ENCODINGS = ("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base")

ENCODING = choice(ENCODINGS, "The tokenizer.")
TOKENIZER = typer.Option(
    metavar="FILE|NAME",
    help="In place of --encoding: a tokenizer.json, tekken.json or .tiktoken file, or a model on the Hub.",
)
PATTERN = typer.Option(
    metavar="NAME",
    help="How a .tiktoken file's text is split: "
    "r50k | cl100k | llama3 | qwen | qwen3.5 | o200k | tekken. Known files need none.",
)
EOT_TOKEN = typer.Option(metavar="NAME|ID", help="The token between documents. Default: the tokenizer's end-of-text.")
