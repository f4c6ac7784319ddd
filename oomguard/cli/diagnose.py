"""`oomguard diagnose`: what killed it, and what to do; `oomguard hook`: to be told so after each kill."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from oomguard.cli.commands import refuse

if TYPE_CHECKING:
    from oomguard.diagnosis.hook import Shell

_FOUND_NOTHING = 3


def diagnose_command(
    logs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Saved logs or pasted messages, also .gz .xz .bz2 .zst .zip, or folders of them; - is standard input. "
            "Default: this machine's logs.",
        ),
    ] = None,
    log: Annotated[str | None, typer.Option(metavar="FILE", help="The same as FILE.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only kills of processes of this name.")] = None,
    pid: Annotated[
        int | None, typer.Option(metavar="PID", help="Only the kill of this process (its pid on the host).")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only kills since then: 2h, 10:30, 2026-11-25.")
    ] = None,
    script: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Your program: show only kills that may have hit it, and name the line responsible."
        ),
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", metavar="FILE", help="The input that the program was reading.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every kill in the logs, not only the newest.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show where every byte was, and the log lines that say so.")
    ] = False,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="For sharing: hosts, users, paths, command lines and container ids become labels, and the same "
            "name always gets the same label. Process names stay.",
        ),
    ] = False,
    page: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write an HTML page, to attach to a ticket.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Explain the last out-of-memory kill.

    What killed it, whose limit it was, what filled the memory, and what to do. Works without root if the logs are
    readable. Exit status 0: a kill was found; 3: none was found, or none matched.

    Example: oomguard diagnose

    Example: oomguard diagnose kern.log

    Example: kubectl describe pod web-1 | oomguard diagnose -
    """
    from dataclasses import replace
    from pathlib import Path
    from time import time

    from oomguard.cli.showing import show, write_page
    from oomguard.diagnosis.api import diagnose

    given = [*(logs or []), *([log] if log is not None else [])]
    found = diagnose(
        given or None,
        since=since,
        pid=pid,
        name=name,
        script=script,
        input_file=input_file,
        every=every,
        redact=redact,
    )
    if page is not None:
        from oomguard.diagnosis.screens.page import diagnosis_page

        write_page(diagnosis_page(replace(found, every=every), made=time(), by=f"oomguard {_version()}"), Path(page))
    show(replace(found, verbose=verbose, every=every), as_json=as_json)
    if found.verdict == "none":
        sys.exit(_FOUND_NOTHING)


def _version() -> str:
    from importlib.metadata import version

    return version("oomguard")


def _known(shell: str | None) -> str | None:
    if shell not in (None, "bash", "zsh", "fish"):
        refuse(f'there is no hook for "{shell}"', do="oomguard hook bash (or zsh, or fish)")
    return shell


def hook_command(
    shell: Annotated[
        str | None,
        typer.Argument(metavar="[bash|zsh|fish]", callback=_known, help="Your shell. Default: the one in $SHELL."),
    ] = None,
    install: Annotated[
        bool,
        typer.Option("--install", help="Load it in each new shell: one file, one line in the shell's rc file."),
    ] = False,
) -> None:
    """Report kills at the shell's prompt.

    After a command during which the kernel OOM-killed a process, or that ended with 137 (SIGKILL), the shell
    prints one line at its prompt. Try it with eval "$(oomguard hook bash)", keep it with --install.

    Example: oomguard hook --install
    """
    from oomguard.diagnosis.hook import hook_script, install_hook, own_shell
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
