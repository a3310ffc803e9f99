"""The training loop with Caffe's schedule of tests, displays and snapshots (solver.cpp)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch

from ...proto import caffe_pb2
from .. import device
from ..blob import NetVec
from ..errors import CaffeError, SolverError
from ..graph.read import read_solver
from ..log import log
from ..net import Net
from ..ranks import joining as ranks
from ..watch import debug, shown
from . import report, resume, state, updates
from .build import check_prefix, check_settings, test_nets, train_net
from .control import SolverAction, SolverParameter
from .fused import Updates
from .lr_policy import learning_rate
from .smoothing import SmoothedLoss

AnySolver = TypeVar("AnySolver", bound="Solver")


class Solver:
    """Trains a net by a solver prototxt.

    Raises:
        ParseError: the file cannot be read. SolverError: settings that contradict each other.
    """

    type_name: ClassVar[str] = ""
    net_class: ClassVar[type[Net]] = Net
    #: history blobs per learnable parameter, and the rule that uses them
    histories: ClassVar[int] = 1
    rule: ClassVar[updates.Rule]

    def __new__(cls: type[AnySolver], *args: object, **kwargs: object) -> AnySolver:
        if not cls.type_name:
            raise SolverError(
                "a solver is one of caffe.SGDSolver, caffe.AdamSolver, ...; or caffe.get_solver(file)"
            )
        return super().__new__(cls)

    def __init__(self, solver_file: str | os.PathLike[str]) -> None:
        if not isinstance(solver_file, (str, os.PathLike)):
            raise TypeError(f"a solver file's name is needed, not {type(solver_file).__name__}")
        self._setup(read_solver(os.fspath(solver_file)))

    @classmethod
    def from_proto(cls: type[AnySolver], param: caffe_pb2.SolverParameter) -> AnySolver:
        """A solver from a message, as the command line makes it."""
        solver = cls.__new__(cls)
        solver._setup(param)
        return solver

    def _setup(self, param: caffe_pb2.SolverParameter) -> None:
        check_settings(param, self.type_name)
        self._message = param
        if device.root_solver():
            log.info("Initializing solver from parameters: \n%s", param)
        if param.random_seed >= 0:
            # 64 bits in the file, 32 in the generator: Caffe drops the others.
            device.set_random_seed((param.random_seed + device.solver_rank()) & 0xFFFFFFFF)
        self._seed = device.pass_seed(param.random_seed)
        self._net = train_net(param, self.net_class)
        self._load_weights(self.net)
        self._test_nets = NetVec(test_nets(param, self.net_class))
        for net in self.test_nets:
            self._load_weights(net)
        self._iter = 0
        self._current_step = 0
        self._smoothed = SmoothedLoss(param.average_loss)
        self._callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._action: Callable[[], SolverAction] = lambda: SolverAction.NONE
        self._stopped = False
        self._displayed = (time.perf_counter(), 0)
        self._updates = Updates(self.net.plan.learnable, self.net.learnable, type(self).rule, self.histories)
        log.info("Solver scaffolding done.")

    def _load_weights(self, net: Net) -> None:
        for entry in self._message.weights:
            for path in entry.split(","):
                log.info("Finetuning from %s", path.strip())
                net.copy_from(path.strip())

    # ---- pycaffe -----------------------------------------------------------------------------

    @property
    def net(self) -> Net:
        """The net being trained."""
        return self._net

    @property
    def test_nets(self) -> NetVec[Net]:
        """The nets that are tested; each gets the weights when it is."""
        return self._test_nets

    @property
    def iter(self) -> int:
        """Updates done so far."""
        return self._iter

    @property
    def lr(self) -> float:
        """The learning rate now; reading it evaluates the policy, which may move `multistep` on."""
        return self._rate()

    @property
    def param(self) -> SolverParameter:
        """`max_iter`, `display`, `layer_wise_reduce` and the settable `base_lr`."""
        return SolverParameter(self._message)

    def _repr_html_(self) -> str:
        """What a notebook shows: how far it is, the rate of the next update, the net."""
        rate, _ = learning_rate(self._message, self._iter, self._current_step)
        last = self._message.max_iter
        return shown.solver_html(self.type_name, self._iter, last, rate, self.net._repr_html_())

    def add_callback(self, on_start: object, on_gradients_ready: Callable[[], None] | None = None) -> None:
        """Call `on_start()` before each iteration's forward and `on_gradients_ready()` before its update.

        A `caffe.NCCL` object may be given instead of the two functions.
        """
        if on_gradients_ready is not None:
            self._callbacks.append((on_start, on_gradients_ready))  # type: ignore[arg-type]
        elif hasattr(on_start, "on_gradients_ready"):
            self._callbacks.append((on_start.on_start, on_start.on_gradients_ready))  # type: ignore[attr-defined]
        else:
            raise TypeError(
                "add_callback takes two functions, on_start and on_gradients_ready, or a caffe.NCCL"
            )

    def share_weights(self, net: Net) -> None:
        """Make `net` use the train net's parameters from now on."""
        if not isinstance(net, Net):
            raise TypeError(f"share_weights(net): a Net is needed, not {type(net).__name__}")
        net.share_with(self.net)

    def set_action_function(self, poll: Callable[[], SolverAction]) -> None:
        """Ask `poll` after every iteration, and inside tests, what to do (stop, snapshot, nothing)."""
        self._action = poll

    def step(self, iterations: int) -> None:
        """Train for a number of iterations, with the tests, displays and snapshots that fall due."""
        if not isinstance(iterations, int):
            raise TypeError(f"step(iterations): an int is needed, not {type(iterations).__name__}")
        stop = self._iter + iterations
        self._smoothed, self._stopped = SmoothedLoss(self._message.average_loss), False
        self._displayed = (time.perf_counter(), self._iter)
        while self._iter < stop:
            self._iteration()
            if self._stopped:
                return

    def solve(self, resume_file: str | None = None) -> None:
        """Train to `max_iter`, with the final snapshot and tests.

        Args:
            resume_file: a solverstate to restore first.
        """
        param = self._message
        log.info("Solving %s", self.net.plan.name)
        log.info("Learning Rate Policy: %s", param.lr_policy)
        if resume_file:
            log.info("Restoring previous solver status from %s", resume_file)
            self.restore(resume_file)
        self.step(param.max_iter - self._iter)
        if param.snapshot_after_train and not (param.snapshot and self._iter % param.snapshot == 0):
            self.snapshot()
        if self._stopped:
            log.info("Optimization stopped early.")
            return
        if param.display and self._iter % param.display == 0:
            self._smoothed.add([self.net.runner.launch()])
            log.info("Iteration %d, loss = %g", self._iter, self._smoothed.value)
        if param.test_interval and self._iter % param.test_interval == 0:
            self._test_all()
        log.info("Optimization Done.")

    def apply_update(self) -> None:
        """Turn the gradients in the diffs into updates, subtract them, count one iteration."""
        param = self._message
        rate = self._rate()
        if param.display and self._iter % param.display == 0 and device.root_solver():
            log.info("Iteration %d, lr = %g", self._iter, rate)
        self._clip()
        self._updates.apply(param, rate, self._iter)
        self._iter += 1

    def snapshot(self) -> None:
        """Write the model and the state of this iteration as `<prefix>_iter_<N>.*`.

        A third file, `.resume`, keeps what Caffe's two cannot: the random state and the positions of the
        data layers (see `resume`).
        """
        with ranks.busy("writing a snapshot"):
            self._write_snapshot()

    def _write_snapshot(self) -> None:
        check_prefix(self._message)
        stem = f"{self._message.snapshot_prefix}_iter_{self._iter}"
        hdf5 = self._message.snapshot_format == caffe_pb2.SolverParameter.HDF5
        suffix, kind = (".h5", "HDF5") if hdf5 else ("", "binary proto")
        model, status = f"{stem}.caffemodel{suffix}", f"{stem}.solverstate{suffix}"
        log.info("Snapshotting to %s file %s", kind, model)
        save = self.net.save_hdf5 if hdf5 else self.net.save
        save(model, self._message.snapshot_diff)
        resume.save(resume.path_for(status), self._all_nets())
        log.info("Snapshotting solver state to %s file %s", kind, status)
        history = (tensor.cpu().numpy() for tensor in self._saved_history())
        write = state.save_hdf5 if hdf5 else state.save_binary
        write(status, self._iter, model, self._current_step, history)

    def restore(self, path: str) -> None:
        """Continue from a `.solverstate` (binary) or `.solverstate.h5`.

        With the `.resume` file beside it the run goes on bit for bit (on a CPU) as if never stopped;
        without it data layers start over and random numbers are fresh, as in Caffe.

        Raises:
            SolverError, WeightsError: the file, or the model it names, is missing or belongs to another
                solver or net. Nothing is changed in that case.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"restore(path): a file name is needed, not {type(path).__name__}")
        path = os.fspath(path)
        shapes = [parameter.shape for parameter in self.net.plan.learnable]
        loaded = state.load(path, shapes, self.histories, self.type_name)
        nets, held = self._all_nets(), self._saved_history()
        history = loaded.read_history(held)
        with resume.load(resume.path_for(path), nets).taken_up(nets):
            if loaded.learned_net:
                try:
                    self.net.copy_from(loaded.learned_net)
                except CaffeError as error:
                    error.args = (f"{error} (the weights that {path} names)",)
                    raise
        for tensor, values in zip(held, history):
            tensor.copy_(values)
        self._updates.history_changed()
        self._iter, self._current_step = loaded.iter, loaded.current_step

    def _saved_history(self) -> list[torch.Tensor]:
        """The history in the order of solver states: first of all parameters one kind, then the other."""
        return [history[kind] for kind in range(self.histories) for history in self._updates.history]

    # ---- one iteration -------------------------------------------------------------------------

    def _all_nets(self) -> list[Net]:
        return [self.net, *self.test_nets]

    def _iteration(self) -> None:
        param = self._message
        self.net.clear_param_diffs()
        if param.test_interval and self._iter % param.test_interval == 0:
            if (self._iter > 0 or param.test_initialization) and device.root_solver():
                self._test_all()
            if self._stopped:
                return
        for on_start, _ in self._callbacks:
            on_start()
        display = bool(param.display) and self._iter % param.display == 0
        self.net.debug_info = display and param.debug_info
        losses = []
        for turn in range(param.iter_size):
            device.seed_pass(self._seed, self._iter * param.iter_size + turn)
            losses.append(self.net.runner.launch())
            self.net.runner.backward()
            if self.net.debug_info:
                debug.log_norms(self.net.learnable)
        self._smoothed.add(losses)
        if display and device.root_solver():
            self._display()
        for _, on_gradients_ready in self._callbacks:
            on_gradients_ready()
        self.apply_update()
        action = self._action()
        due = param.snapshot and self._iter % param.snapshot == 0
        if (due and device.root_solver()) or action is SolverAction.SNAPSHOT:
            self.snapshot()
        self._stopped = action is SolverAction.STOP

    def _rate(self) -> float:
        rate, step = learning_rate(self._message, self._iter, self._current_step)
        if step != self._current_step:
            if self._message.lr_policy == "multistep":
                log.info("MultiStep Status: Iteration %d, step = %d", self._iter, step)
            self._current_step = step
        return rate

    def _clip(self) -> None:
        limit = self._message.clip_gradients
        if limit < 0:
            return
        norm = float(sum((blob.grad.double() ** 2).sum() for blob in self.net.learnable)) ** 0.5
        if norm > limit:
            log.info(
                "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g",
                norm, limit, limit / norm,
            )  # fmt: skip
            for blob in self.net.learnable:
                blob.put_grad(blob.grad.mul_(limit / norm))

    # ---- reports -------------------------------------------------------------------------------

    def _display(self) -> None:
        now, (then, iteration) = time.perf_counter(), self._displayed
        lapse = now - then
        log.info(
            "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
            self._iter, (self._iter - iteration) / (lapse or 1), lapse, self._message.display,
            self._smoothed.value,
        )  # fmt: skip
        self._displayed = (now, self._iter)
        report.log_outputs("Train", self.net.plan, report.output_values(self.net.plan, self.net.runner.blobs))

    def _test_all(self) -> None:
        with ranks.busy("testing"):
            for index in range(len(self.test_nets)):
                if self._stopped:
                    return
                self._test(index)

    def _test(self, index: int) -> None:
        log.info("Iteration %d, Testing net (#%d)", self._iter, index)
        net, count = self.test_nets[index], self._message.test_iter[index]
        net.share_with(self.net)
        totals: list[torch.Tensor] = []
        loss = 0.0
        for _ in range(count):
            while (action := self._action()) is SolverAction.SNAPSHOT:
                self.snapshot()
            if action is SolverAction.STOP:
                self._stopped = True
                log.info("Test interrupted.")
                return
            loss += net.runner.forward()
            values = report.output_values(net.plan, net.runner.blobs)
            totals = [a + b for a, b in zip(totals, values)] if totals else values
        if self._message.test_compute_loss:
            log.info("Test loss: %g", loss / count if count else math.nan)
        report.log_outputs("Test", net.plan, [total / count for total in totals])
