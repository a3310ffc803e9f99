"""``caffe train``: train a network by a solver, on the CPU or on one or several GPUs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from ... import _caffe
from ..._caffe.errors import CaffeError
from ..._caffe.log import log
from ...proto.caffe_pb2 import SolverParameter
from ...pycaffe import SGDSolver, get_solver
from ..command import ABORTED, device_wish, fatal
from .options import CPU_INSTEAD, Options, gpu_ids, require, use_precision

_EFFECTS = ("snapshot", "stop", "none")


def run(options: Options) -> None:
    """Train as the solver and the flags say, to the end or until a signal stops it.

    Raises:
        CaffeError: flags that contradict each other, or anything wrong with the solver, its networks, the
            weights or the solver state.
    """
    require(options.solver, "Need a solver definition to train: -solver solver.prototxt")
    require(
        not (options.snapshot and options.weights),
        "Give a snapshot to resume training or weights to finetune but not both.",
    )
    _use_memory_and_precision(options)
    param = _solver_param(options)
    ids = _take_devices(options, param)
    with SignalActions(options.sigint_effect, options.sighup_effect) as signals:
        solver = _build(param, options.snapshot)
        solver.set_action_function(signals.poll)
        log.info("Starting Optimization")
        if len(ids) > 1:
            _solve_together(solver, param, options, ids)
        else:
            solver.solve()
    log.info("Optimization Done.")


def _use_memory_and_precision(options: Options) -> None:
    use_precision(options.precision)
    _caffe.set_checkpointing(options.checkpointing)


def _solver_param(options: Options) -> SolverParameter:
    param = _caffe.read_solver(options.solver)
    param.train_state.level = options.level
    param.train_state.stage.extend(options.stages)
    if options.snapshot or options.weights:
        del param.weights[:]
    if options.weights:
        param.weights.append(options.weights)
    return param


def _gpu_of(param: SolverParameter) -> str:
    """What `-gpu` would say for the solver's own wish; a solver that has none trains on the CPU."""
    wanted = param.HasField("solver_mode") and param.solver_mode == SolverParameter.GPU
    return str(param.device_id) if wanted else ""


def _take_devices(options: Options, param: SolverParameter) -> list[int]:
    """The devices to train on, none for the CPU; this process is on the first of them."""
    wish = f"-gpu {options.gpu}", CPU_INSTEAD
    if not options.gpu:
        wish = f"{options.solver}: solver_mode: GPU", "write solver_mode: CPU there to train on the CPU"
    with device_wish(*wish):
        ids = gpu_ids(options.gpu or _gpu_of(param))
        log.info("Using GPUs %s" if ids else "Use CPU.%s", ", ".join(map(str, ids)))
        if ids:
            _join(param, ids, 0)
    return ids


def _join(param: SolverParameter, ids: Sequence[int], rank: int) -> None:
    """Make this process solver `rank` of the group, on its own GPU."""
    param.device_id = ids[rank]
    _caffe.set_device(ids[rank])
    _caffe.set_mode_gpu()
    _caffe.set_solver_count(len(ids))
    _caffe.set_solver_rank(rank)
    _caffe.set_multiprocess(len(ids) > 1)


def _build(param: SolverParameter, snapshot: str) -> SGDSolver:
    solver = get_solver(param)
    if snapshot:
        log.info("Resuming from %s", snapshot)
        solver.restore(snapshot)
    return solver


class SignalActions:
    """In a `with` block: turns SIGINT and SIGHUP into what the solver asks for after every iteration.

    Args:
        sigint, sighup: `snapshot`, `stop` or `none`.
    """

    def __init__(self, sigint: str, sighup: str) -> None:
        """Raises CaffeError for another effect."""
        self._pending: set[int] = set()
        self._effects: dict[int, _caffe.SolverAction] = {}
        self._before: dict[int, Any] = {}
        for flag, effect, name in (("sighup", sighup, "SIGHUP"), ("sigint", sigint, "SIGINT")):
            require(effect in _EFFECTS, f"-{flag}_effect {effect}: it is {', '.join(_EFFECTS)}")
            if hasattr(signal, name):  # Windows has no SIGHUP
                self._effects[getattr(signal, name)] = _caffe.SolverAction[effect.upper()]

    def __enter__(self) -> SignalActions:
        self._before = {number: signal.signal(number, self._note) for number in self._effects}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._pending.add(number)

    def poll(self) -> _caffe.SolverAction:
        """The action of a signal that came since the last time; SIGHUP is looked at first."""
        for number, action in self._effects.items():
            if number in self._pending:
                self._pending.discard(number)
                return action
        return _caffe.SolverAction.NONE


# ---- several GPUs: this process is solver 0, every other GPU has a process of its own ------------------


def _solve_together(solver: SGDSolver, param: SolverParameter, options: Options, ids: Sequence[int]) -> None:
    uid, message = _caffe.NCCL.new_uid(), param.SerializeToString()
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    others = [
        context.Process(target=_work, args=(message, options, ids, rank, uid), daemon=True)
        for rank in range(1, len(ids))
    ]
    for process in others:
        process.start()
    threading.Thread(target=_watch, args=(others,), daemon=True).start()
    try:
        _average_gradients(solver, uid)
        solver.solve()
    finally:
        for process in others:
            process.kill()


def _average_gradients(solver: SGDSolver, uid: bytes) -> None:
    nccl = _caffe.NCCL(solver, uid)
    nccl.bcast()
    solver.add_callback(nccl)


def _work(message: bytes, options: Options, ids: Sequence[int], rank: int, uid: bytes) -> None:
    """The body of the process of solver `rank` > 0; solver 0 ends it."""
    _caffe.init_log(2)
    _use_memory_and_precision(options)
    param = SolverParameter.FromString(message)
    try:
        _join(param, ids, rank)
        with SignalActions("none", "none"):  # to answer them is for solver 0: where it stops, all stop
            solver = _build(param, options.snapshot)
            _average_gradients(solver, uid)
            solver.step(param.max_iter - solver.iter)
    except (CaffeError, OSError) as error:
        sys.exit(fatal(error))


def _watch(others: Sequence[BaseProcess]) -> None:
    """End this process if another one fails: solver 0 would wait for its gradients for ever."""
    running = list(others)
    while running:
        wait([process.sentinel for process in running])
        for process in [process for process in running if not process.is_alive()]:
            running.remove(process)
            if process.exitcode not in (0, -signal.SIGKILL):
                log.critical("the process of solver %d failed (exit status %s), see above",
                             others.index(process) + 1, process.exitcode)  # fmt: skip
                for other in running:
                    other.kill()
                sys.stderr.flush()
                os._exit(ABORTED)
