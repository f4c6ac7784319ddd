"""`oomguard hook`: flags in, one call, the result shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from oomguard.diagnosis.hook.api import Shell


def _known(shell: str | None) -> str | None:
    if shell not in (None, "bash", "zsh", "fish"):
        raise typer.BadParameter(f"{shell!r} is not one of bash, zsh, fish")
    return shell


def hook_command(
    shell: Annotated[
        str | None,
        typer.Argument(metavar="[bash|zsh|fish]", callback=_known, help="Your shell. Default: the one in $SHELL."),
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Have each new shell read it: one file, one line in the shell's rc file.")
    ] = False,
) -> None:
    """Report kills at the shell's prompt.

    After a command during which the kernel killed a process for memory, or that ended with 137 (SIGKILL), the shell
    prints one line. Try it with eval "$(oomguard hook bash)", keep it with --install.

    Example: oomguard hook --install
    """
    from oomguard.diagnosis.hook.api import hook_script, install_hook, own_shell
    from oomguard.text import printable

    name = own_shell() if shell is None else cast("Shell", shell)
    if not install:
        typer.echo(hook_script(name), nl=False)
        return
    done = install_hook(name)
    typer.echo(f"written  {printable(str(done.script))}")
    if done.rc_file is not None:
        how = "added to" if done.added else "already in"
        typer.echo(f"{how} {printable(str(done.rc_file))}: {printable(done.line)}")
    typer.echo(f"next: open a new shell, or: exec {name}")
