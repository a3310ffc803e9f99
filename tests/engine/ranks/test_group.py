"""Ranks that meet, exchange, wait for each other, and say who is missing."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

import caffe
from caffe._caffe.ranks.group import Group
from caffe._caffe.ranks.meeting import Patience, Place
from tests.ranks import together

#: Seconds; a lost rank is found within a few of them.
SOON = {"CAFFE_RANK_TIMEOUT": "5", "CAFFE_RANK_PATIENCE": "2"}


def test_all_ranks_learn_the_largest_of_each_number() -> None:
    def body(rank: int, uid: bytes) -> list[int]:
        caffe.NCCL.meet(uid)
        return caffe.NCCL.most([rank, -rank, 7])

    with together(3, body) as ranks:
        assert ranks.all_say == [[2, 0, 7]] * 3


def endless(rank: int, uid: bytes) -> None:
    """Exchange numbers again and again; a file says that it has begun."""
    caffe.NCCL.meet(uid)
    while True:
        caffe.NCCL.most([1])
        open(f"begun{rank}", "w").close()


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGKILL, "is gone"), (signal.SIGSTOP, "has not been heard of for 5 s")]
)
def test_a_rank_that_is_killed_or_stopped_ends_the_others_which_name_it(in_tmp, lost, number, says) -> None:
    with together(3, endless, **{**SOON, "CAFFE_RANK_PATIENCE": "60"}) as ranks:
        while not all(os.path.exists(f"begun{rank}") for rank in range(3)):
            time.sleep(0.01)
        os.kill(ranks.processes[lost].pid, number)
        for rank in {0, 1, 2} - {lost}:
            said = ranks.says(rank)
            assert said.startswith(f"rank {lost}")
            assert says in said or lost == 0  # the meeting point goes with rank 0, whichever way
            ranks.processes[rank].join()
            assert ranks.processes[rank].exitcode == 1


def test_a_rank_that_fails_by_itself_is_named(in_tmp) -> None:
    def body(rank: int, uid: bytes) -> object:
        caffe.NCCL.meet(uid)
        caffe.NCCL.most([1])
        return caffe.NCCL.most([1]) if rank else "its own mistake"

    with together(2, body, **SOON) as ranks:
        assert ranks.says(0) == "its own mistake"
        assert "rank 0" in ranks.says(1)


def test_a_rank_that_lives_and_does_not_come_is_waited_for_so_long_and_named() -> None:
    def body(rank: int, uid: bytes) -> object:
        caffe.NCCL.meet(uid)
        if rank == 1:
            time.sleep(60)
        return caffe.NCCL.most([1])

    with together(2, body, **SOON) as ranks:
        said = ranks.says(0)
    assert f"rank 1 (process {ranks.processes[1].pid} on" in said
    assert "has kept the others waiting for 2 s (CAFFE_RANK_PATIENCE)" in said


@pytest.mark.parametrize(("patience", "late"), [(2, 0), (4, 2)])
def test_a_rank_that_says_it_is_busy_is_waited_for_and_has_its_patience_afterwards(
    patience: int, late: int
) -> None:
    def body(rank: int, uid: bytes) -> object:
        caffe.NCCL.meet(uid)
        if rank == 1:
            with caffe.NCCL.busy("scoring"):
                time.sleep(4)
            time.sleep(late)
        return caffe.NCCL.most([rank])

    with together(2, body, **{**SOON, "CAFFE_RANK_PATIENCE": str(patience)}) as ranks:
        assert ranks.all_say == [[1], [1]]


class _JustTooLate:
    """An exchange that ends right after the wait for it has given up."""

    def __init__(self) -> None:
        self.ended = False

    def wait(self, timeout: object = None) -> None:
        if not self.ended:
            self.ended = True
            raise RuntimeError("Operation timed out!")

    def is_completed(self) -> bool:
        return self.ended


def test_an_exchange_that_ends_as_a_look_at_it_gives_up_is_done() -> None:
    assert Group._done(_JustTooLate())


@pytest.mark.parametrize("absent", [0, 2])
def test_a_rank_that_was_never_started_is_named(absent: int) -> None:
    def body(rank: int, uid: bytes) -> object:
        return time.sleep(60) if rank == absent else caffe.NCCL.meet(uid)

    with together(3, body, **SOON) as ranks:
        if absent:
            assert "rank 2 of 3 did not start within 2 s (CAFFE_RANK_PATIENCE)" in ranks.says(0)
            assert "rank 2 of 3 did not start" in ranks.says(1)
        else:
            assert "rank 0 does not answer at 127.0.0.1:" in ranks.says(1)


@pytest.mark.parametrize("text", ["0", "soon", "-3", "nan"])
def test_a_patience_that_is_no_time_is_refused_by_name(text: str, monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_RANK_TIMEOUT", text)
    with pytest.raises(caffe.SolverError, match="CAFFE_RANK_TIMEOUT"):
        Patience.from_environment()


@pytest.mark.parametrize("address", ["", "host:1", "tcp://host", "tcp://host:port", "tcp://:1", "udp://h:1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(caffe.SolverError, match="meeting point"):
        Place.of(address)


def test_torchrun_keeps_the_store_of_its_own_address_only(monkeypatch) -> None:
    for name, value in (
        ("MASTER_ADDR", "node0"), ("MASTER_PORT", "29500"), ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ("TORCHELASTIC_RESTART_COUNT", "2"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    assert Place.of("tcp://node0:29500") == Place("node0", 29500, True, "2")
    assert Place.of("tcp://node0:29501") == Place("node0", 29501)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            caffe.SolverError, match=rf"rank 0 cannot open the meeting point 127.0.0.1:{port}"
        ):
            Place("127.0.0.1", port).open(0, Patience(2, 2))


def test_a_process_that_met_nobody_cannot_ask_the_others() -> None:
    with pytest.raises(caffe.SolverError, match="has not met the others"):
        caffe.NCCL.most([1])
