"""Dask's nanny. Source: distributed/nanny.py up to 2022, distributed/worker_memory.py since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Killer, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or fewer threads for each worker, more memory for each, smaller partitions",
            command="dask worker --nthreads 1 --memory-limit SIZE ADDRESS",
        ),
    )


KILLER = Killer(
    ident="dask",
    what="Dask's nanny, which restarts a worker that passes its memory limit",
    in_logs=True,
    wordings=(
        wording(
            r"(?:distributed\.\S{1,60} - WARNING - |- )?Worker (?P<name>\S{1,200}) (?:\(pid[ =](?P<pid>[0-9]{1,10})\) )?exceeded (?P<reason>[0-9]{1,3}% memory budget)[.,]\s{0,4}[Rr]estarting",
            "% memory budget",
            "distributed.nanny.memory - WARNING - Worker tcp://10.0.0.4:34937 (pid=129) exceeded 95% memory budget. Restarting...",
        ),
        wording(
            r"(?:distributed\.\S{1,60} - WARNING - |- )?Worker exceeded (?P<reason>[0-9]{1,3}% memory budget)[.,]\s{0,4}[Rr]estarting",
            "% memory budget",
            "distributed.nanny - WARNING - Worker exceeded 95% memory budget.  Restarting",
        ),
    ),
    advise=_advise,
)
