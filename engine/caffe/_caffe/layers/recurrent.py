"""RNN, LSTM and the LSTMUnit they are made of, unrolled over time.

Legend: T time steps, N streams, I input features, S static features, D = `num_output`. cont (T, N) is
0 where a sequence starts and 1 where it goes on; it multiplies the state that comes in. An LSTM's 4D
gate inputs are in the order i, f, o, g.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch

from ..blob import Blob, make_blob
from ..layer import Arity, Layer
from ..registry import register

Gates = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def lstm_gates(inputs: torch.Tensor, cont: torch.Tensor) -> Gates:
    """i, f, o, g (N, D) from their inputs (N, 4D); f is multiplied by cont (N, 1), 0 where cont is 0."""
    i, f, o, g = inputs.chunk(4, -1)
    return i.sigmoid(), torch.where(cont == 0, 0, cont * f.sigmoid()), o.sigmoid(), g.tanh()


def lstm_unit(gates: Gates, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The next cell and hidden state (N, D)."""
    i, f, o, g = gates
    cell = f * cell + i * g
    return cell, o * cell.tanh()


def lstm_unit_backward(
    gates: Gates, cell: torch.Tensor, next_cell: torch.Tensor, d_cell: torch.Tensor, d_hidden: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of the incoming cell and of the gate inputs.

    df takes f (1 - f) with f already multiplied by cont, as Caffe's lstm_unit_layer does: it is the
    derivative where cont is 0 or 1.
    """
    i, f, o, g = gates
    squashed = next_cell.tanh()
    d_cell = d_cell + d_hidden * o * (1 - squashed * squashed)
    d_inputs = (
        d_cell * g * i * (1 - i),
        d_cell * cell * f * (1 - f),
        d_hidden * squashed * o * (1 - o),
        d_cell * i * (1 - g * g),
    )
    return d_cell * f, torch.cat(d_inputs, -1)


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM: bottoms c (1, N, D), gate inputs (1, N, 4D), cont (1, N); tops c, h (1, N, D).

    cont gets no gradient. Source: Caffe's lstm_unit_layer.
    """

    reads = ()
    bottoms, tops = Arity(3), Arity(2)

    def allow_force_backward(self, index: int) -> bool:
        return index != 2

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        cell, inputs, cont = (blob.dims for blob in bottom)
        expected = "c (1, N, D), gate inputs (1, N, 4D) and cont (1, N)"
        self.check(
            len(cell) == 3 and cell[0] == 1 and inputs == (1, cell[1], 4 * cell[2]) and cont == (1, cell[1]),
            f"bottoms must be {expected}; they are {cell}, {inputs} and {cont}",
        )
        for blob in top:
            blob.resize(cell)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        cell, inputs, cont = (blob.value for blob in bottom)
        for blob, state in zip(top, lstm_unit(lstm_gates(inputs, cont.unsqueeze(-1)), cell)):
            blob.put(state)

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(not propagate_down[2], "cannot backpropagate to the sequence indicators (bottom 2)")
        cell, inputs, cont = (blob.value for blob in bottom)
        gates = lstm_gates(inputs, cont.unsqueeze(-1))
        grads = lstm_unit_backward(gates, cell, top[0].value, top[0].grad, top[1].grad)
        for blob, grad, wanted in zip(bottom, grads, propagate_down):
            if wanted:
                blob.put_grad(grad)


class _Recurrent(Layer):
    """What RNN and LSTM share: bottoms, parameters, the input transform and the state between batches.

    Caffe runs an inner net of its own here. Its gradients do not look at the outer net's flags: x, the
    static input and all parameters always receive theirs; initial and exposed states take no part.
    """

    states: ClassVar[int]
    gates: ClassVar[int]
    saves = "the gates and the states of every step"
    carries_state = True

    steps: int
    static: bool
    carried: list[Blob]

    def multiply_adds(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> int:
        steps, streams = bottom[0].dims[:2]
        matrices = sum(blob.count for blob in self.blobs if len(blob.dims) == 2)
        static = self.blobs[2].count if self.static else 0  # once, not at every step
        return streams * (steps * (matrices - static) + static)

    def allow_force_backward(self, index: int) -> bool:
        return index != 1

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        param = self.layer_param.recurrent_param
        self.check(param.num_output > 0, "num_output must be given and positive")
        exposed = self.states if param.expose_hidden else 0
        self.check(
            2 + exposed <= len(bottom) <= 3 + exposed and len(top) == 1 + exposed,
            f"with expose_hidden: {str(param.expose_hidden).lower()} takes {2 + exposed} bottoms, or "
            f"{3 + exposed} with a static input, and makes {1 + exposed} tops; there are {len(bottom)} and "
            f"{len(top)}",
        )
        self.static = len(bottom) == 3 + exposed
        self.check(len(bottom[0].dims) >= 3, f"bottom 0 must be (T, N, ...), is {bottom[0].dims}")
        self.steps = bottom[0].dims[0]
        self.check(self.steps > 0, f"bottom 0 has no time steps: it is {bottom[0].dims}")
        self.inputs = math.prod(bottom[0].dims[2:])
        self.statics = math.prod(bottom[2].dims[1:]) if self.static else 0
        self.carried = [make_blob() for _ in range(self.states)]
        self._make_params(self.gates * param.num_output, param.num_output)

    def _make_params(self, wide: int, out: int) -> None:
        param = self.layer_param.recurrent_param
        shapes = [(wide, self.inputs), (wide,)]
        shapes += [(wide, self.statics)] if self.static else []
        shapes += [(wide, out), *self._output_params(out)]
        for index, shape in enumerate(shapes):
            self.fill_param(index, shape, param.weight_filler if len(shape) == 2 else param.bias_filler)

    def _output_params(self, out: int) -> list[tuple[int, ...]]:
        return []

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        x, cont, out = bottom[0].dims, bottom[1].dims, self.layer_param.recurrent_param.num_output
        self.check(
            len(x) >= 3 and x[0] == self.steps and math.prod(x[2:]) == self.inputs,
            f"bottom 0 must keep its {self.steps} time steps and {self.inputs} features; it is {x}",
        )
        self.check(cont == x[:2], f"bottom 1 (cont) must be (T, N) = {x[:2]}, is {cont}")
        if self.static:
            static = bottom[2].dims
            self.check(
                static[:1] == x[1:2] and math.prod(static[1:]) == self.statics,
                f"bottom 2 (static input) must be (N, ...) = ({x[1]}, {self.statics} features), is {static}",
            )
        state = (1, x[1], out)
        for index in range(2 + self.static, len(bottom)):
            found = bottom[index].dims
            self.check(
                found == state, f"bottom {index} (initial state) must be (1, N, D) = {state}, is {found}"
            )
        top[0].resize((*x[:2], out))
        for blob in [*top[1:], *self.carried]:
            blob.resize(state)

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        exposed = self.layer_param.recurrent_param.expose_hidden
        initial = bottom[2 + self.static :] if exposed else self.carried
        states = [blob.value[0] for blob in initial]
        outputs = self._unroll(self._input_part(bottom), bottom[1].value.unsqueeze(-1), states)
        top[0].put(outputs)
        for blob, state in zip(top[1:] if exposed else self.carried, states):
            # Into its memory: streams that come back after a smaller batch find their old state, as in Caffe.
            blob.put(blob.value.copy_(state))

    def _recurrent_index(self) -> int:
        """Where the state's own weight is among the parameters."""
        return 2 + self.static

    def _input_part(self, bottom: Sequence[Blob]) -> torch.Tensor:
        """(T, N, gates * D): what x, the bias and the static input add to every step."""
        x = bottom[0].value.view(-1, self.inputs)
        part = torch.nn.functional.linear(x, self.blobs[0].value, self.blobs[1].value)
        part = part.view(*bottom[0].dims[:2], part.shape[1])
        if self.static:
            part = part + bottom[2].value.view(-1, self.statics) @ self.blobs[2].value.t()
        return part

    def _unroll(self, part: torch.Tensor, cont: torch.Tensor, states: list[torch.Tensor]) -> torch.Tensor:
        """The outputs (T, N, D); `states` goes in as the initial and comes out as the final states."""
        self.fail("does not unroll")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        self.check(not propagate_down[1], "cannot backpropagate to the sequence indicators (bottom 1)")
        d_part, entered = self._unroll_backward(top[0].grad, bottom[1].value.unsqueeze(-1))
        flat = d_part.flatten(0, 1)
        self.blobs[0].add_grad(flat.t() @ bottom[0].value.view(-1, self.inputs))
        self.blobs[1].add_grad(flat.sum(0))
        self.blobs[self._recurrent_index()].add_grad(flat.t() @ entered.flatten(0, 1))
        bottom[0].put_grad(flat @ self.blobs[0].value)
        if self.static:
            summed = d_part.sum(0)
            self.blobs[2].add_grad(summed.t() @ bottom[2].value.view(-1, self.statics))
            bottom[2].put_grad(summed @ self.blobs[2].value)

    def _unroll_backward(
        self, d_output: torch.Tensor, cont: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient of `_input_part` and the states (T, N, D) that met the recurrent weight."""
        self.fail("does not unroll")


class _LstmSteps(NamedTuple):
    """What LSTM saves of every step: cont h', the gates, and the cells with the initial one before them."""

    entered: list[torch.Tensor]
    gates: list[Gates]
    cells: list[torch.Tensor]


@register("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory over x (T, N, ...) with cont (T, N) and, if given, a static input (N, ...).

    c = cont f c' + i g, h = o tanh(c), with gates from W_xc x + b_c + W_hc (cont h') [+ W_static static].
    Parameters: W_xc (4D, I), b_c (4D), [W_static (4D, S)], W_hc (4D, D). Top: h (T, N, D).
    `expose_hidden` adds bottoms h0, c0 and tops h_T, c_T (1, N, D), none of which pass a gradient;
    without it the final state of one forward is the initial state of the next. `debug_info` is accepted.
    Source: Caffe's recurrent_layer, lstm_layer.
    """

    reads = ("recurrent_param",)
    without_effect = ("recurrent_param.debug_info",)
    bottoms, tops = Arity(2, 5), Arity(1, 3)
    states, gates = 2, 4

    def _unroll(self, part: torch.Tensor, cont: torch.Tensor, states: list[torch.Tensor]) -> torch.Tensor:
        weight = self.blobs[self._recurrent_index()].value
        hidden, cell = states
        steps = self.saved = _LstmSteps([], [], [cell.clone()])
        outputs = []
        for step, keep in zip(part, cont):
            steps.entered.append(keep * hidden)
            steps.gates.append(lstm_gates(torch.addmm(step, steps.entered[-1], weight.t()), keep))
            cell, hidden = lstm_unit(steps.gates[-1], cell)
            steps.cells.append(cell)
            outputs.append(hidden)
        states[:] = hidden, cell
        return torch.stack(outputs)

    def _unroll_backward(
        self, d_output: torch.Tensor, cont: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weight = self.blobs[self._recurrent_index()].value
        entered, gates, cells = self.recall(_LstmSteps)
        d_hidden = d_cell = torch.zeros_like(d_output[0])
        grads = []
        for t in reversed(range(self.steps)):
            d_cell, d_inputs = lstm_unit_backward(
                gates[t], cells[t], cells[t + 1], d_cell, d_output[t] + d_hidden
            )
            d_hidden = cont[t] * (d_inputs @ weight)
            grads.append(d_inputs)
        return torch.stack(grads[::-1]), torch.stack(entered)


class _RnnSteps(NamedTuple):
    """What RNN saves, (T, N, D) each: cont h', h and o."""

    entered: torch.Tensor
    hiddens: torch.Tensor
    outputs: torch.Tensor


@register("RNN")
class RNN(_Recurrent):
    """A plain recurrent net over x (T, N, ...) with cont (T, N) and, if given, a static input (N, ...).

    h = tanh(W_hh (cont h') + W_xh x + b_h [+ W_static static]), o = tanh(W_ho h + b_o).
    Parameters: W_xh (D, I), b_h (D), [W_static (D, S)], W_hh (D, D), W_ho (D, D), b_o (D).
    Top: o (T, N, D). `expose_hidden` adds bottom h0 and top h_T (1, N, D), which pass no gradient;
    without it the final state of one forward is the initial state of the next. `debug_info` is accepted.
    Source: Caffe's recurrent_layer, rnn_layer.
    """

    reads = ("recurrent_param",)
    without_effect = ("recurrent_param.debug_info",)
    bottoms, tops = Arity(2, 4), Arity(1, 2)
    states, gates = 1, 1

    def _output_params(self, out: int) -> list[tuple[int, ...]]:
        return [(out, out), (out,)]

    def _unroll(self, part: torch.Tensor, cont: torch.Tensor, states: list[torch.Tensor]) -> torch.Tensor:
        recurrent, out_weight, out_bias = (blob.value for blob in self.blobs[self._recurrent_index() :])
        hidden = states[0]
        entered, hiddens = [], []
        for step, keep in zip(part, cont):
            entered.append(keep * hidden)
            hidden = torch.addmm(step, entered[-1], recurrent.t()).tanh()
            hiddens.append(hidden)
        states[0] = hidden
        stacked = torch.stack(hiddens)
        outputs = torch.nn.functional.linear(stacked, out_weight, out_bias).tanh()
        self.saved = _RnnSteps(torch.stack(entered), stacked, outputs)
        return outputs.clone()

    def _unroll_backward(
        self, d_output: torch.Tensor, cont: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        first = self._recurrent_index()
        recurrent, out_weight = self.blobs[first].value, self.blobs[first + 1].value
        entered, hiddens, outputs = self.recall(_RnnSteps)
        d_output = d_output * (1 - outputs * outputs)
        flat = d_output.flatten(0, 1)
        self.blobs[first + 1].add_grad(flat.t() @ hiddens.flatten(0, 1))
        self.blobs[first + 2].add_grad(flat.sum(0))
        d_hiddens = d_output @ out_weight
        carried = torch.zeros_like(d_output[0])
        grads = []
        for t in reversed(range(self.steps)):
            grads.append((d_hiddens[t] + carried) * (1 - hiddens[t] * hiddens[t]))
            carried = cont[t] * (grads[-1] @ recurrent)
        return torch.stack(grads[::-1]), entered
