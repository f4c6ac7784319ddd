"""`oomguard prepare`: a corpus into training shards, inside a memory budget, with exactly tiktoken's tokens.

Imported here is what a run needs before its workers can be started; what else it needs is imported while they start.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from oomguard.errors import edge
from oomguard.preparation.engines.progress import PrepareEvents
from oomguard.preparation.engines.run import start_run
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.request import look_up
from oomguard.preparation.settling import settle

if TYPE_CHECKING:
    from oomguard.preparation.model import ShardSet

_CHECKPOINT_SECONDS = 10.0


@edge
def prepare(options: PrepareOptions, *, max_rss: int | None = None, events: PrepareEvents | None = None) -> ShardSet:
    """Turn the inputs into shards; a run that was stopped resumes from its last checkpoint.

    `max_rss` is the budget in bytes, enforced where the machine allows; None: 80% of what is available.
    Raises: OomguardError, whose `do` says what to do next. Call it from the main thread.
    """
    asked = look_up(options)
    asked.require_room()
    with ExitStack() as stack:
        job, budget = settle(stack, asked.sources, options, asked.resolved, max_rss, notes=asked.notes)
        run = start_run(job, budget, stack, events=events)
        from oomguard.preparation.execution import execute

        return execute(run, checkpoint_seconds=_CHECKPOINT_SECONDS)


__all__ = ["PrepareEvents", "PrepareOptions", "prepare"]
