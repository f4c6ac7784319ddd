"""`oomguard` and `python -m oomguard`."""

import gc
import signal
import sys


def main() -> None:
    """Run the command line. Until all is imported Ctrl-C just ends the process: Python would show where it was."""
    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so where it is ignored
    if catches:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # what is imported stays: to look for garbage in it takes 10 ms
    try:
        from oomguard.cli.app import main as run
    except (OSError, MemoryError, ImportError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise  # it is not installed as a whole
        # Before there is anything that could tell it better: no descriptor, no memory.
        sys.stderr.write(f"error: oomguard cannot be loaded: {error}\n  try: ulimit -a; free -m\n")
        sys.exit(125 if sys.argv[1:2] in (["run"], ["profile"]) else 1)

    gc.freeze()
    gc.enable()
    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
