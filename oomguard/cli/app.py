"""The command line: flags in, one call, its result shown. Only this module prints errors and exits."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from oomguard.cli.check import check_command
from oomguard.cli.diagnose import diagnose_command
from oomguard.cli.doctor import doctor_command
from oomguard.cli.plain_options import PlainCommand, PlainGroup
from oomguard.cli.plan import plan_command
from oomguard.cli.prepare import prepare_command
from oomguard.cli.profile import ProfileCommand, profile_command
from oomguard.cli.release import release_command
from oomguard.cli.report import report_command
from oomguard.cli.run import run_app
from oomguard.cli.swap import swap_app
from oomguard.errors import OomguardError, Stopped
from oomguard.text import printable

app = typer.Typer(
    name="oomguard",
    help="Data preparation that the kernel's OOM killer cannot end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=PlainGroup,
)
# In the order of the questions that follow the word Killed.
app.command("diagnose")(diagnose_command)
app.command("check")(check_command)
app.command("plan")(plan_command)
app.command("prepare", cls=PlainCommand)(prepare_command)
app.command("profile", cls=ProfileCommand)(profile_command)
app.command("report")(report_command)
app.add_typer(run_app, name="run")
app.command("release")(release_command)
app.add_typer(swap_app, name="swap")
app.command("doctor")(doctor_command)

_FAILED, _STOPPED = OomguardError.exit_status, Stopped.exit_status


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"oomguard {version('oomguard')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


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


def main() -> None:
    """Run the command line; an error is two lines, what and what to do, and exit status 1 (130: stopped)."""
    _open_standard_streams()
    if sys.platform != "linux":
        sys.exit("error: oomguard works with Linux's memory control groups\n  try: a Linux machine, a VM or WSL 2")
    try:
        app()
    except OomguardError as error:
        label = "stopped" if isinstance(error, Stopped) else "error"
        # Both may quote what somebody gave; a terminal must not obey it.
        sys.stderr.write(f"{label}: {printable(str(error))}\n  try: {printable(error.do)}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(_STOPPED)
    except BrokenPipeError:
        # `oomguard ... | head`: what nobody reads is no error. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_FAILED)
