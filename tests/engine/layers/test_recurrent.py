"""RNN, LSTM and LSTMUnit against their recurrences written out in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from caffe._caffe.errors import LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

T, N, D = 3, 2, 3
FEATURES, STATICS = 4, 5


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(
    x: np.ndarray,
    cont: np.ndarray,
    params: Sequence[np.ndarray],
    static: np.ndarray | None,
    h: np.ndarray,
    c: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(h of every step, last h, last c); gates in the order i, f, o, g."""
    w_x, b, *w_static, w_h = params
    hs = []
    for t in range(len(x)):
        k = cont[t][:, None]
        gates = x[t].reshape(N, -1) @ w_x.T + b + (k * h) @ w_h.T
        if static is not None:
            gates = gates + static.reshape(N, -1) @ w_static[0].T
        i, f, o = (sigmoid(gates[:, n * D : (n + 1) * D]) for n in range(3))
        c = k * f * c + i * np.tanh(gates[:, 3 * D :])
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs), h, c


def rnn(
    x: np.ndarray, cont: np.ndarray, params: Sequence[np.ndarray], static: np.ndarray | None, h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(output of every step, last h)"""
    first = 3 if static is not None else 2
    (w_x, b), (w_h, w_o, b_o) = params[:2], params[first:]
    outputs = []
    for t in range(len(x)):
        inner = (cont[t][:, None] * h) @ w_h.T + x[t].reshape(N, -1) @ w_x.T + b
        if static is not None:
            inner = inner + static.reshape(N, -1) @ params[2].T
        h = np.tanh(inner)
        outputs.append(np.tanh(h @ w_o.T + b_o))
    return np.stack(outputs), h


REFERENCE = {"LSTM": (lstm, 2), "RNN": (rnn, 1)}


def text(kind: str, expose: bool = False) -> str:
    fields = f"num_output: {D} expose_hidden: {str(expose).lower()} debug_info: true"
    return f'type: "{kind}" recurrent_param {{ {fields} }}'


def arrays(
    kind: str, static: bool = False, expose: bool = False
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Inputs in their order (cont: both streams start at 0, one again at 2) and parameters."""
    inputs = {"x": random(T, N, 2, 2), "cont": np.array([[0.0, 0], [1, 1], [1, 0]])}
    if static:
        inputs["static"] = random(N, STATICS, seed=1)
    if expose:
        inputs["cont"][0] = 1
        inputs |= {f"state{i}": random(1, N, D, seed=2 + i) for i in range(REFERENCE[kind][1])}
    wide = 4 * D if kind == "LSTM" else D
    shapes = [(wide, FEATURES), (wide,), *([(wide, STATICS)] if static else []), (wide, D)]
    shapes += [(D, D), (D,)] if kind == "RNN" else []
    return inputs, [random(*shape, seed=10 + i) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("expose", [False, True])
def test_forward(kind, static, expose):
    reference, states = REFERENCE[kind]
    inputs, params = arrays(kind, static, expose)
    tops = ("top", *[f"out{i}" for i in range(states)]) if expose else ("top",)
    found = run(text(kind, expose), inputs, params, tops=tops).tops
    initial = [inputs[f"state{i}"][0] if expose else np.zeros((N, D)) for i in range(states)]
    expected = reference(inputs["x"], inputs["cont"], params, inputs.get("static"), *initial)
    assert found["top"].shape == (T, N, D)
    for name, value in zip(tops, expected):
        np.testing.assert_allclose(found[name].reshape(value.shape), value, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
@pytest.mark.parametrize("static", [False, True])
def test_gradients(kind, static):
    inputs, params = arrays(kind, static)
    check_gradient(text(kind), inputs, params, wrt=[name for name in inputs if name != "cont"])


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_the_last_state_of_one_batch_is_the_first_of_the_next(kind):
    reference, states = REFERENCE[kind]
    inputs, params = arrays(kind)
    inputs["cont"][:] = 1
    net = build(text(kind), inputs, params)
    zeros = [np.zeros((N, D))] * states
    expected, *last = reference(inputs["x"], inputs["cont"], params, None, *zeros)
    np.testing.assert_allclose(forward(net, inputs)["top"], expected, atol=1e-5)
    again = reference(inputs["x"], inputs["cont"], params, None, *last)[0]
    np.testing.assert_allclose(forward(net, inputs)["top"], again, atol=1e-5)
    assert abs(again - expected).max() > 0.01


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_a_stream_that_was_left_out_goes_on_from_its_old_state(kind):
    inputs, params = arrays(kind)
    inputs["cont"][:] = 1
    both, one = build(text(kind), inputs, params), build(text(kind), inputs, params)
    first = {name: array[:, :1] for name, array in inputs.items()}
    forward(both, inputs)
    for name, array in first.items():
        both.blobs[name].reshape(*array.shape)
    forward(both, first)
    for name, array in inputs.items():
        both.blobs[name].reshape(*array.shape)
    last = forward(both, inputs)["top"]
    _, twice, thrice = [forward(one, inputs)["top"] for _ in range(3)]
    # The first stream ran three times, the second one twice.
    np.testing.assert_allclose(last[:, 0], thrice[:, 0], rtol=1e-5)
    np.testing.assert_allclose(last[:, 1], twice[:, 1], rtol=1e-5)


@pytest.mark.parametrize("kind, states", [("LSTM", 2), ("RNN", 1)])
def test_exposed_states_pass_no_gradient(kind, states):
    inputs, params = arrays(kind, expose=True)
    tops = ["top", *[f"out{i}" for i in range(states)]]
    dy = {"top": random(T, N, D, seed=20)}
    plain = run(text(kind, True), inputs, params, tops=tops, topdiff=dy)
    exposed = run(
        text(kind, True),
        inputs,
        params,
        tops=tops,
        topdiff=dy | {name: np.ones((1, N, D)) for name in tops[1:]},
    )
    np.testing.assert_array_equal(plain.bottom_diffs["x"], exposed.bottom_diffs["x"])
    assert plain.bottom_diffs["x"].any()
    assert not any(exposed.bottom_diffs[f"state{i}"].any() for i in range(states))


def test_streams_may_change_between_batches_but_steps_may_not():
    inputs, params = arrays("LSTM")
    net = build(text("LSTM"), inputs, params)
    wider = {"x": random(T, 4, 2, 2), "cont": np.zeros((T, 4))}
    for name, array in wider.items():
        net.blobs[name].reshape(*array.shape)
    assert forward(net, wider)["top"].shape == (T, 4, D)
    net.blobs["x"].reshape(T + 1, 4, 2, 2)
    with pytest.raises(LayerError, match=r"keep its 3 time steps.*\(4, 4, 2, 2\)"):
        net.forward()


@pytest.mark.parametrize(
    "shapes, expose, message",
    [
        ([(4, 2, 3), (3, 2)], False, r"bottom 1 \(cont\) must be.*\(4, 2\), is \(3, 2\)"),
        ([(4, 2, 3), (4, 2, 1)], False, r"bottom 1 \(cont\)"),
        ([(4, 2), (4, 2)], False, "bottom 0 must be"),
        ([(4, 2, 3), (4, 2), (3, 5)], False, "static input"),
        ([(4, 2, 3), (4, 2)], True, "with expose_hidden: true takes 4 bottoms"),
        ([(4, 2, 3), (4, 2), (1, 2, 3), (1, 2, 3)], False, "with expose_hidden: false takes 2 bottoms"),
        ([(4, 2, 3), (4, 2), (1, 2, 3), (1, 2, 4)], True, r"bottom 3 \(initial state\).*\(1, 2, 4\)"),
    ],
)
def test_refusals(shapes, expose, message):
    inputs = {f"x{i}": random(*shape) for i, shape in enumerate(shapes)}
    with pytest.raises(LayerError, match=rf"'layer' \(LSTM\).*{message}"):
        build(text("LSTM", expose), inputs, tops=("a", "b", "c") if expose else ("a",))


def test_num_output_is_required():
    with pytest.raises(LayerError, match="num_output"):
        build('type: "RNN"', {"x": random(2, 2, 2), "cont": np.ones((2, 2))})


UNIT = 'type: "LSTMUnit"'


def unit(cont: list[float]) -> dict[str, np.ndarray]:
    return {"c": random(1, N, D), "gates": random(1, N, 4 * D, seed=1), "cont": np.array([cont])}


def test_unit_forward_and_gradients():
    inputs = unit([1.0, 0.0])
    i, f, o = (sigmoid(inputs["gates"][0, :, n * D : (n + 1) * D]) for n in range(3))
    cell = np.array([[1.0], [0]]) * f * inputs["c"][0] + i * np.tanh(inputs["gates"][0, :, 3 * D :])
    tops = run(UNIT, inputs, tops=("next", "hidden")).tops
    np.testing.assert_allclose(tops["next"][0], cell, atol=1e-6)
    np.testing.assert_allclose(tops["hidden"][0], o * np.tanh(cell), atol=1e-6)
    check_gradient(UNIT, inputs, wrt=["c", "gates"], tops=("next", "hidden"))


def test_unit_takes_the_forget_gates_slope_after_cont():
    inputs = unit([0.5, 0.5])
    diffs = {"next": np.ones((1, N, D)), "hidden": np.zeros((1, N, D))}
    found = run(UNIT, inputs, tops=("next", "hidden"), topdiff=diffs).bottom_diffs["gates"]
    f = 0.5 * sigmoid(inputs["gates"][..., D : 2 * D])
    np.testing.assert_allclose(found[..., D : 2 * D], inputs["c"] * f * (1 - f), atol=1e-6)


def test_unit_refuses_other_shapes():
    inputs = unit([1.0, 1.0]) | {"gates": random(1, N, 3 * D)}
    with pytest.raises(LayerError, match=r"gate inputs \(1, N, 4D\).*\(1, 2, 9\)"):
        build(UNIT, inputs, tops=("next", "hidden"))


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_no_streams(kind):
    x, cont = np.zeros((T, 0, FEATURES)), np.zeros((T, 0))
    text = f'type: "{kind}" recurrent_param {{ num_output: {D} }}'
    result = run(text, {"x": x, "cont": cont}, topdiff=np.zeros((T, 0, D)))
    assert result.tops["top"].shape == (T, 0, D)
    assert result.bottom_diffs["x"].shape == x.shape


def test_recurrent_layers_start_from_the_blobs_of_the_prototxt(net_of):
    biases = " ".join(f"data: {value}" for value in (1, 2, 3, 4))
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" top: "cont" '
        "input_param { shape { dim: 2 dim: 1 dim: 1 } shape { dim: 2 dim: 1 } } }"
        'layer { name: "r" type: "LSTM" bottom: "x" bottom: "cont" top: "r" '
        "recurrent_param { num_output: 1 } "
        f"blobs {{ shape {{ dim: 4 dim: 1 }} {biases} }} blobs {{ shape {{ dim: 4 }} {biases} }}"
        f"blobs {{ shape {{ dim: 4 dim: 1 }} {biases} }} }}"
    )
    for blob in net.params["r"]:
        np.testing.assert_array_equal(blob.data.ravel(), [1, 2, 3, 4])
