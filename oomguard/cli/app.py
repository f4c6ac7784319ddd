"""The command line: flags in, one call, its result shown. Only this module prints errors and exits."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from oomguard.cli.commands import SETTINGS, Group
from oomguard.cli.console import status_of, tell, tell_failure
from oomguard.errors import OomguardError

# In the order of the questions that follow the word Killed. Each is imported when it is asked for, since `run` should
# begin its program before it has read what `prepare` or `check` are made of.
_COMMANDS = {
    "diagnose": "oomguard.cli.diagnose:diagnose_command",
    "check": "oomguard.cli.check:check_command",
    "profile": "oomguard.cli.profile:profile_command:ProfileCommand",
    "report": "oomguard.cli.profile:report_command",
    "plan": "oomguard.cli.plan:plan_command",
    "prepare": "oomguard.cli.prepare:prepare_command:PrepareCommand",
    "work": "oomguard.cli.work:work_command",
    "finish": "oomguard.cli.work:finish_command",
    "inspect": "oomguard.cli.convert:inspect_command",
    "convert": "oomguard.cli.convert:convert_command",
    "run": "oomguard.cli.run:run_app",
    "release": "oomguard.cli.run:release_command",
    "swap": "oomguard.cli.swap:swap_app",
    "doctor": "oomguard.cli.doctor:doctor_command",
    "hook": "oomguard.cli.diagnose:hook_command",
}


class _Root(Group):
    """`oomguard` itself."""

    later = _COMMANDS

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - Typer has a Click of its own, which passes it
        """The names, as --help lists them."""
        return list(_COMMANDS)


app = typer.Typer(
    name="oomguard",
    help="Find out why your job was OOM-killed, and keep it from happening again.\n\n"
    "Example: oomguard diagnose\n\nExample: oomguard run --max-rss 12G -- python script.py",
    invoke_without_command=True,
    add_completion=True,
    context_settings=SETTINGS,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=_Root,
)

_WRONG_ARGUMENTS, _FAILED_ITSELF = 2, 125  # of run and profile, any other status may be the program's own
_UsageError: type[Any] = typer.BadParameter.__mro__[1]  # what Typer raises for any wrong argument


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"oomguard {version('oomguard')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(_WRONG_ARGUMENTS)


def _open_standard_streams() -> None:
    """Give what a daemon may have closed to /dev/null, before a file of ours gets its number."""
    inheritable = True
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            os.set_inheritable(fd, inheritable)  # dup2 of a descriptor onto itself does not
            setattr(sys, name, open(fd, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115 - for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a Latin-1 terminal cannot show is no error


def _show_usage_error(error: Any) -> int:
    """Print what is wrong with the arguments; gives the exit status."""
    asked = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "")
    path = f"oomguard {asked}" if asked in _COMMANDS else "oomguard"
    tell_failure("error", error.format_message(), f"{path} --help")
    return _FAILED_ITSELF if asked in ("run", "profile") else _WRONG_ARGUMENTS


def main() -> None:
    """Run the command line; an error is two lines, what and what to do.

    Exit status: 2 where the command line cannot be parsed, 1 for what failed, 128 and the signal where one stopped it;
    for run and profile 125, since any other may be the program's own.
    """
    _open_standard_streams()
    if sys.platform != "linux":
        sys.exit("error: oomguard needs Linux's memory control groups\n  try: a Linux machine, a VM or WSL 2")
    sys.exit(status_of(_run))


def _build(name: str) -> Any:
    """Let Typer build the command that was asked for and none of the others: these take 35 ms of CPU time."""
    everything = app.registered_commands, app.registered_groups
    commands = [one for one in app.registered_commands if one.name == name]
    groups = [one for one in app.registered_groups if one.name == name]
    try:
        if commands or groups:
            app.registered_commands, app.registered_groups = commands, groups
        return typer.main.get_command(app)
    finally:
        app.registered_commands, app.registered_groups = everything


def _run() -> None:
    try:
        command = _build(sys.argv[1] if len(sys.argv) > 1 else "")
        status = command(prog_name="oomguard", standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(status)
    except _UsageError as error:
        sys.exit(_show_usage_error(error))
    except typer.Abort:
        tell("stopped\n")
        sys.exit(OomguardError.exit_status)
