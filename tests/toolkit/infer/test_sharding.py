"""Items shared between processes: results in order, and what has none is named."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from fcn.sharding import THREADS, ShardError, sharded


@contextmanager
def squares(log: str | None = None) -> Iterator[Callable[[int], int]]:
    """A worker that fails at 13, dies at 14 and squares the rest; writes into a file when it is closed."""
    yield _square
    if log:
        with open(log, "a") as file:
            file.write("closed\n")


def _square(number: int) -> int:
    if number == 13:
        raise ValueError("13 is unlucky")
    if number == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@contextmanager
def threads() -> Iterator[Callable[[int], tuple[str, int]]]:
    yield lambda number: (os.environ[THREADS], os.getpid())


@contextmanager
def broken() -> Iterator[Callable[[int], int]]:
    raise RuntimeError("there is no such GPU")
    yield _square


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    assert list(sharded(squares, range(7), jobs)) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.parametrize(("bad", "why"), [(13, "13 is unlucky"), (14, "ended by signal 9")])
def test_what_a_process_did_not_do_is_named_and_the_others_finish(bad: int, why: str) -> None:
    found = []
    with pytest.raises(ShardError, match=why) as error:
        for result in sharded(squares, [1, 2, 3, bad, 5, 6, 7], 2):
            found.append(result)
    assert error.value.missing == (bad, 6) and f"not done: {bad}, 6" in str(error.value)
    assert found == [1, 4, 9, 25, 49]


def test_a_worker_that_cannot_be_made_is_told() -> None:
    with pytest.raises(ShardError, match="no such GPU") as error:
        list(sharded(broken, [1, 2, 3], 2))
    assert error.value.missing == (1, 2, 3)
    with pytest.raises(RuntimeError, match="no such GPU"):
        list(sharded(broken, [1, 2, 3], 1))


def test_processes_share_the_cores_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    each = list(sharded(threads, [0, 1, 2, 3], 2))
    assert {count for count, _ in each} == {str(max(1, len(os.sched_getaffinity(0)) // 2))}
    pids = {pid for _, pid in each}
    assert len(pids) == 2 and os.getpid() not in pids and THREADS not in os.environ
    monkeypatch.setenv(THREADS, "3")
    assert {count for count, _ in sharded(threads, [0, 1], 2)} == {"3"}


def test_workers_are_closed_and_one_maker_may_be_given_for_each_process(tmp_path: os.PathLike[str]) -> None:
    logs = [os.path.join(tmp_path, name) for name in ("one", "two")]
    assert list(sharded([partial(squares, log) for log in logs], [1, 2, 3])) == [1, 4, 9]
    for log in logs:
        with open(log) as file:
            assert file.read() == "closed\n"


def test_who_has_seen_enough_ends_the_processes() -> None:
    each = sharded(threads, list(range(100)), 2)
    _, pid = next(each)
    each.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
