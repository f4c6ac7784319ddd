"""`python -m oomguard`."""

from oomguard.cli.app import main

if __name__ == "__main__":
    main()
