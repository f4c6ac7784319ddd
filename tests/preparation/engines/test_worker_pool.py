"""Who gets the next chunk: large pages go side by side only as far as the budget has room for them."""

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from oomguard.preparation.engines import worker_pool
from oomguard.preparation.engines.messages import EncodeTask, TaskKind
from oomguard.preparation.engines.work import Work
from oomguard.preparation.engines.worker_pool import WorkerPool
from oomguard.units import MIB


def work(number: int, *, needs: int = 0, is_suspect: bool = False, kind: TaskKind = "rows") -> Work:
    return Work(
        number=number, task=EncodeTask(slot=number, size=MIB, kind=kind), source=0, split=None, position={}, name="x", needs=needs,
        is_suspect=is_suspect,
    )  # fmt: skip


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> WorkerPool:
    """Three workers, with room for 40 MiB of large chunks."""

    def start(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(outstanding={}, ready=True, verifies=False)

    monkeypatch.setattr(worker_pool, "start_worker", start)
    job: Any = SimpleNamespace(
        budget=SimpleNamespace(workers=3, together=40 * MIB),
        options=SimpleNamespace(verify="off"),
    )
    return WorkerPool(job, SimpleNamespace(), ExitStack())  # type: ignore[arg-type]  # nothing is shared here


def give(pool: WorkerPool, chunk: Work) -> bool:
    worker = pool.worker_for(chunk)
    if worker is not None:
        worker.outstanding[chunk.number] = chunk
    return worker is not None


def test_large_pages_go_side_by_side_while_there_is_room(pool: WorkerPool) -> None:
    assert give(pool, work(0, needs=15 * MIB))
    assert give(pool, work(1, needs=25 * MIB))
    assert give(pool, work(2))
    assert not give(pool, work(3, needs=1))


def test_one_that_takes_more_than_that_is_alone(pool: WorkerPool) -> None:
    assert give(pool, work(0, needs=41 * MIB))  # it may use what the others would have used
    assert not give(pool, work(1))
    assert not give(pool, work(2, needs=1))


def test_one_that_takes_more_waits_until_nothing_is_under_way(pool: WorkerPool) -> None:
    assert give(pool, work(0))
    assert not give(pool, work(1, needs=41 * MIB))


def test_a_chunk_over_which_workers_ended_is_alone(pool: WorkerPool) -> None:
    assert give(pool, work(0, is_suspect=True))
    assert not give(pool, work(1))


def test_a_chunk_over_which_workers_ended_waits_for_the_others(pool: WorkerPool) -> None:
    assert give(pool, work(0))
    assert not give(pool, work(1, is_suspect=True))


def test_a_long_line_is_alone(pool: WorkerPool) -> None:
    assert give(pool, work(0, needs=MIB, kind="lines"))
    assert not give(pool, work(1, kind="lines"))
