"""`oomguard hook`: a line at the prompt after a command that was killed: a script for each shell, and where it goes."""

from __future__ import annotations

import errno
import os
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from oomguard.errors import BadInput, NeedsPrivilege
from oomguard.kernel import safe_files

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledHook:
    """Where the hook was written, and the line that has it read by each new shell."""

    script: Path
    rc_file: Path | None  # None: the shell reads the folder of `script` by itself
    line: str  # "" where no line is needed
    added: bool  # False: the line stood there already


def hook_script(shell: Shell) -> str:
    """The script to evaluate in `shell`."""
    return files("oomguard.diagnosis.hook").joinpath(f"hook.{shell}").read_text(encoding="utf-8")


def own_shell() -> Shell:
    """The shell that the user logs in to, as $SHELL tells.

    Raises: BadInput if that is none that has a hook.
    """
    name = Path(os.environ.get("SHELL", "")).name
    for shell in SHELLS:
        if name == shell:
            return shell
    raise BadInput(f'there is no hook for "{name or "no shell"}" ($SHELL)', do="oomguard hook --install bash")


def install_hook(shell: Shell, *, home: Path | None = None) -> InstalledHook:
    """Write the script below the user's configuration, and a line in the shell's rc file that reads it.

    fish reads its own folder and needs no line. The rc file is only ever appended to.
    Raises: NeedsPrivilege if a file is another user's; BadInput if one cannot be written.
    """
    home = home or Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "fish":
        script = config / "fish/conf.d/oomguard.fish"
        _write(script, hook_script(shell))
        return InstalledHook(script=script, rc_file=None, line="", added=False)
    script = config / f"oomguard/hook.{shell}"
    rc_file = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    _write(script, hook_script(shell))
    quoted = shlex.quote(str(script))
    line = f"[ ! -r {quoted} ] || . {quoted}  # oomguard hook"
    return InstalledHook(script=script, rc_file=rc_file, line=line, added=_append(rc_file, line))


def _write(path: Path, text: str) -> None:
    """Put a whole new file in the place of an old one; a shell that starts meanwhile reads one or the other."""
    try:
        safe_files.make_folder(path.parent)
        _require_own(path.parent)
        with safe_files.replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise _cannot_write(path, error) from error


def _append(path: Path, line: str) -> bool:
    """Append a line to a file of the user's, unless it stands there. Gives whether it was appended."""
    try:
        if path.exists():
            _require_own(path)
        fd, kind = safe_files.open_named(path, 0o644, os.O_RDWR | os.O_APPEND)  # a link of the user's leads on
        if kind == "stream":
            os.close(fd)
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))  # noqa: TRY301 - told as the others are
        with os.fdopen(fd, "r+b", buffering=0) as file:
            text = file.read()
            if line.encode() in text.splitlines():
                return False
            file.write((b"" if text.endswith(b"\n") or not text else b"\n") + line.encode() + b"\n")
    except OSError as error:
        raise _cannot_write(path, error) from error
    return True


def _require_own(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise NeedsPrivilege(
            f"{path} belongs to another user (uid {owner}); nothing was changed there",
            do='put this line into it by hand: eval "$(oomguard hook bash)"',
        )


def _cannot_write(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"cannot write {path}: {error.strerror}",
        do='put this line into the file that your shell reads: eval "$(oomguard hook bash)"',
    )
