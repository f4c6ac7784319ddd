"""Every error oomguard raises on purpose; anything else is a bug and shows its traceback.

OomguardError           what happened, and what to do next
├── BadInput            the data cannot be used as it is: file, position, reason
├── BudgetTooSmall      the job does not fit in the memory it was given
├── Changed             what is on disk was made from another input, with other options
├── InUse               another run works in the same folder
├── NeedsPrivilege      the kernel answered EPERM or EACCES
├── NothingFound        the request is fine, but there is nothing to work on
├── Stopped             the user or a signal ended it; what was done is kept
├── SwapFailed          a step of making or removing swap failed; what went before is undone
├── SwapRefused         swap cannot, or should not, be made or removed there; nothing was changed
└── WorkerFailed        a helper process ended when it should not have
"""

from __future__ import annotations


class OomguardError(Exception):
    """Carries `do`, the next step. It is required, so no error can be written without one."""

    def __init__(self, what: str, *, do: str) -> None:
        super().__init__(what)
        self.do = do


class BadInput(OomguardError):
    """The data cannot be used as it is."""


class BudgetTooSmall(OomguardError):
    """The job does not fit in the memory it was given."""


class Changed(OomguardError):
    """The work on disk was made from another input or with other options."""


class InUse(OomguardError):
    """Another run works in the same folder."""


class NeedsPrivilege(OomguardError):
    """The kernel refused for lack of a right."""


class NothingFound(OomguardError):
    """There is nothing to work on."""


class Stopped(OomguardError):
    """Ended by the user or a signal; what was done is kept."""


class SwapFailed(OomguardError):
    """A step failed in the middle; what went before it is undone."""


class SwapRefused(OomguardError):
    """It cannot or should not be done there; nothing was changed."""


class WorkerFailed(OomguardError):
    """A helper process ended when it should not have."""
