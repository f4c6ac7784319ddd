"""`oomguard` and `python -m oomguard`."""

import signal


def main() -> None:
    """Run the command line. Until all is imported Ctrl-C just ends the process: Python would show where it was."""
    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so where it is ignored
    if catches:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from oomguard.cli.app import main as run

    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
