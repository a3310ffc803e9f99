"""Replays golden cases: a case in, the values the engine gives for every expected key out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import caffe

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SOLVERS = {name: getattr(caffe, f"{name}Solver") for name in
           ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")}  # fmt: skip
Case = dict[str, np.ndarray]


def names(section: str, prefix: str = "") -> list[str]:
    """The cases of a section of .npz files."""
    return sorted(path.stem for path in (GOLDEN / section).glob(f"{prefix}*.npz"))


def load(section: str, name: str) -> tuple[Case, dict[str, Any]]:
    """A case's arrays and its `meta`."""
    with np.load(GOLDEN / section / f"{name}.npz") as file:
        case = dict(file)
    return case, json.loads(str(case.get("meta", "{}")) or "{}")


def close(got: object, want: np.ndarray, rtol: float, atol: float, what: str) -> None:
    """Assert max|got - want| <= atol + rtol max|want|, shapes and non-finite values exactly."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, want {want.shape}"
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=what)
    error = np.abs(got[finite] - want[finite]).max(initial=0)
    limit = atol + rtol * np.abs(want[finite]).max(initial=0)
    assert error <= limit, f"{what}: error {error:.3g} > {limit:.3g}"


def bring(section: str) -> None:
    """Copy a section's `files` into the working folder."""
    source = GOLDEN / section / "files"
    if source.is_dir():
        shutil.copytree(source, ".", dirs_exist_ok=True)


def make_net(case: Case, meta: dict[str, Any]) -> caffe.Net:
    """The case's net."""
    Path("net.prototxt").write_text(str(case["prototxt"]))
    return caffe.Net(
        "net.prototxt",
        getattr(caffe, str(case["phase"])),
        level=meta.get("level") or 0,
        stages=meta.get("stages"),
    )


def keys(case: Case, prefix: str) -> list[tuple[str, np.ndarray]]:
    """The rest of each key that starts with `prefix`, and its array."""
    return [(key[len(prefix) :], case[key]) for key in sorted(case) if key.startswith(prefix)]


def param(net: caffe.Net, key: str) -> Any:
    """The blob that a key's `L.i` names."""
    layer, index = key.rsplit(".", 1)
    return net.params[layer][int(index)]


def set_params(net: caffe.Net, case: Case) -> None:
    """Set every `param.L.i`."""
    for key, value in keys(case, "param."):
        assert param(net, key).data.shape == value.shape, key
        param(net, key).data[...] = value


def all_params(net: caffe.Net, prefix: str) -> dict[str, np.ndarray]:
    """Copies of all parameters as `<prefix>L.i`."""
    return {
        f"{prefix}{name}.{i}": blob.data.copy()
        for name, blobs in net.params.items()
        for i, blob in enumerate(blobs)
    }


def check_net(case: Case, meta: dict[str, Any], rtol: float, atol: float) -> None:
    """Replay a case of `layers` or `nets`."""
    tolerance = meta.get("tol", {}).get("rtol", rtol), meta.get("tol", {}).get("atol", atol)
    net = make_net(case, meta)
    if "structure" in meta:
        assert structure(net) == meta["structure"]

    def compare(prefix: str, read: Any) -> None:
        for key, value in keys(case, prefix):
            close(read(key), value, *tolerance, prefix + key)

    def fill(prefix: str) -> None:
        for key, value in keys(case, prefix):
            net.blobs[key].data[...] = value

    compare("paraminit.", lambda key: param(net, key).data)
    set_params(net, case)
    for _ in range(meta.get("forwards", 1)):
        fill("in.")
        net.forward()
    compare("out.", lambda key: net.blobs[key].data)
    compare("param_after.", lambda key: param(net, key).data)
    if meta.get("backward", "none") != "none":
        net.clear_param_diffs()
        for key, value in keys(case, "topdiff."):
            net.blobs[key].diff[...] = value
        net.backward()
        compare("indiff.", lambda key: net.blobs[key].diff)
        compare("paramdiff.", lambda key: param(net, key).diff)
    for number, step in enumerate(meta.get("steps", []), 1):
        for blob, shape in step.get("reshape", {}).items():
            net.blobs[blob].reshape(*shape)
        if step.get("net_reshape"):
            net.reshape()
        fill(f"in@{number}.")
        net.forward()
        compare(f"out@{number}.", lambda key: net.blobs[key].data)


def structure(net: caffe.Net) -> dict[str, Any]:
    """What pycaffe shows of a net's wiring."""
    return {
        "blob_names": list(net.blobs),
        "blob_shapes": {name: list(blob.shape) for name, blob in net.blobs.items()},
        "layer_names": list(net._layer_names),
        "layer_types": [layer.type for layer in net.layers],
        "param_names": list(net.params),
        "param_shapes": {name: [list(blob.shape) for blob in blobs] for name, blobs in net.params.items()},
        "inputs": list(net.inputs),
        "outputs": list(net.outputs),
        "loss_weights": dict(net.blob_loss_weights),
        "bottom_names": {name: list(blobs) for name, blobs in net.bottom_names.items()},
        "top_names": {name: list(blobs) for name, blobs in net.top_names.items()},
    }


def check_data(case: Case, meta: dict[str, Any], rtol: float, atol: float) -> None:
    """The batches a data layer gives, or the HDF5 file it writes."""
    tolerance = meta.get("tol", {}).get("rtol", rtol), meta.get("tol", {}).get("atol", atol)
    bring("data")
    net = make_net(case, meta)
    found = structure(net)
    assert {key: found[key] for key in meta["structure"]} == meta["structure"]
    if "mem.data" in case:
        net.set_input_arrays(*(np.ascontiguousarray(case[f"mem.{k}"]) for k in ("data", "labels")))
    for batch in range(1, meta["batches"] + 1):
        net.forward()
        for blob in meta["blobs"]:
            key = f"batch{batch}.{blob}"
            close(net.blobs[blob].data, case[key], *tolerance, key)
    if "h5_output" in meta:
        with h5py.File(meta["h5_output"], "r") as file:
            assert sorted(file) == [name for name, _ in keys(case, "h5.")]
            for name, want in keys(case, "h5."):
                close(file[name][()], want, *tolerance, name)


# ---- solvers --------------------------------------------------------------------------------------


def make_solver(case: Case, meta: dict[str, Any]) -> caffe.SGDSolver:
    """The case's solver, of the class it asks for."""
    Path("net.prototxt").write_text(str(case["net"]))
    Path("solver.prototxt").write_text(str(case["solver"]))
    how = meta.get("make", "get_solver")
    return caffe.get_solver("solver.prototxt") if how == "get_solver" else SOLVERS[how]("solver.prototxt")


def train(
    solver: caffe.SGDSolver, case: Case, meta: dict[str, Any], first: int, last: int
) -> list[list[float]]:
    """Iterations `first` to `last` - 1: [rate, loss] of each."""
    found = []
    for iteration in range(first, last):
        rate = solver.lr
        for key, value in keys(case, "in."):
            solver.net.blobs[key].data[...] = value[iteration % len(value)]
        solver.step(1)
        found.append([rate, float(solver.net.blobs[meta["loss"]].data)])
    return found


def check_params(net: caffe.Net, case: Case, mark: int, rtol: float) -> None:
    """Compare the parameters with those after `mark` steps, the error held against the steps taken."""
    got = all_params(net, f"param_at{mark}.")
    for key, want in keys(case, f"param_at{mark}."):
        start = case.get(f"param.{key}", np.zeros_like(want))
        limit = rtol * np.abs(want - start).max() + 3e-7 * np.abs(want).max() + 1e-9
        close(got[f"param_at{mark}.{key}"], want, 0, limit, f"{key} after {mark}")


def check_solver(case: Case, meta: dict[str, Any]) -> None:
    """Replay a training run."""
    rtol = meta.get("tol", {}).get("rtol", 1e-4)
    solver = make_solver(case, meta)
    set_params(solver.net, case)
    if "mem.data" in case:
        solver.net.set_input_arrays(*(np.ascontiguousarray(case[f"mem.{k}"]) for k in ("data", "labels")))
    trace: list[list[float]] = []
    for mark in meta["marks"]:
        trace += train(solver, case, meta, len(trace), mark)
        check_params(solver.net, case, mark, rtol)
    rates, losses = zip(*trace, strict=True)
    close(rates, case["lr"], 1e-6, 1e-12, "lr")
    close(losses, case["loss"], max(rtol, 1e-4), 1e-12, "loss")
    assert solver.iter == meta["marks"][-1]


def check_snapshot(case: Case, meta: dict[str, Any], kind: str) -> None:
    """Go on from Caffe's files (`restore`), load only its weights (`weights`), or both with ours (`own`)."""
    rtol, at, end = meta.get("tol", {}).get("rtol", 1e-4), meta["snapshot_at"], meta["end"]
    if kind == "own":
        solver = make_solver(case, meta)
        set_params(solver.net, case)
        train(solver, case, meta, 0, at)
        solver.snapshot()
        written = sorted(name for name in os.listdir() if name.startswith(meta["prefix"] + "_iter_"))
        assert written == sorted(meta["files"])
        check_params(solver.net, case, at, rtol)
    else:
        for name in meta["files"]:
            shutil.copy(GOLDEN / "solvers" / "snapshots" / meta["folder"] / name, name)
    if kind == "weights":
        Path("net.prototxt").write_text(str(case["net"]))
        net = caffe.Net("net.prototxt", caffe.TRAIN, weights=meta["weights"])
        check_params(net, case, at, rtol)
        return
    solver = make_solver(case, meta)
    solver.restore(meta["state"])
    assert solver.iter == at
    check_params(solver.net, case, at, rtol)
    train(solver, case, meta, at, end)
    check_params(solver.net, case, end, rtol)


# ---- narrow FCNs ----------------------------------------------------------------------------------


def bilinear(shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear kernels on the diagonal of a deconvolution's weight."""
    size = shape[2]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - np.abs(np.arange(size) - centre) / factor
    weight = np.zeros(shape, np.float32)
    for channel in range(min(shape[:2])):
        weight[channel, channel] = np.outer(ramp, ramp)
    return weight


def fill_fcn(net: caffe.Net, seed: int) -> None:
    """The weights of the fcn cases: He noise from one stream, bilinear kernels in `upscore*`."""
    stream = np.random.RandomState(seed)
    for name, blobs in net.params.items():
        shape = tuple(blobs[0].shape)
        if name.startswith("upscore"):
            blobs[0].data[...] = bilinear(shape)
            continue
        blobs[0].data[...] = stream.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        blobs[1].data[...] = 0.1 * stream.standard_normal(tuple(blobs[1].shape))


def check_fcn_forward(case: Case, meta: dict[str, Any]) -> None:
    """Scores, labels, loss and gradient norms of a narrow FCN."""
    Path("net.prototxt").write_text(str(case["prototxt"]))
    net = caffe.Net("net.prototxt", caffe.TEST)
    fill_fcn(net, meta["seed"])
    for blob in ("data", "label"):
        net.blobs[blob].reshape(*case[f"in.{blob}"].shape)
        net.blobs[blob].data[...] = case[f"in.{blob}"]
    net.forward()
    score = net.blobs["score"].data
    close(score, case["out.score"], 1e-3, 1e-3, "score")
    assert (score.argmax(1) == case["out.argmax"]).mean() >= 0.999
    close(net.blobs["loss"].data, case["out.loss"], 2e-5, 0, "loss")
    net.clear_param_diffs()
    net.backward()
    for key, want in keys(case, "gradnorm."):
        norm = np.sqrt((param(net, key).diff.astype(np.float64) ** 2).sum())
        close(norm, want, 2e-4, 1e-6, f"gradient of {key}")


def check_fcn_train(case: Case, meta: dict[str, Any]) -> None:
    """The losses of ten training steps of a narrow FCN."""
    Path("net.prototxt").write_text(str(case["train_prototxt"]))
    Path("solver.prototxt").write_text(str(case["solver"]))
    solver = caffe.SGDSolver("solver.prototxt")
    fill_fcn(solver.net, meta["seed"])
    losses = []
    for _ in range(meta["iterations"]):
        for blob in ("data", "label"):
            solver.net.blobs[blob].data[...] = case[f"in.{blob}"]
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    close(losses, case["train_loss"], meta.get("train_rtol", 1e-3), 0, "losses")


# ---- programs -------------------------------------------------------------------------------------


def same(got: Any, want: Any, tolerance: float) -> bool:
    """Equality of JSON values, numbers to a relative tolerance."""
    if isinstance(want, bool) or isinstance(got, bool):
        return got is want
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return (got != got and want != want) or abs(got - want) <= tolerance * max(1.0, abs(want))
    if isinstance(want, list) and isinstance(got, list):
        return len(got) == len(want) and all(same(g, w, tolerance) for g, w in zip(got, want, strict=True))
    if isinstance(want, dict) and isinstance(got, dict):
        return set(got) == set(want) and all(same(got[k], want[k], tolerance) for k in want)
    return bool(got == want)


def plain(value: Any) -> Any:
    """A program's answer as JSON holds it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def write(name: str, text: str) -> str:
    """What programs call to write a file."""
    Path(name).write_text(text)
    return name


def check_program(section: str, case: Case, meta: dict[str, Any], rtol: float, atol: float) -> None:
    """Run a pycaffe program and compare what it leaves in `result`."""
    bring(section)
    inputs = {key: value.copy() for key, value in keys(case, "in.")}
    scope = {
        "caffe": caffe,
        "np": np,
        "os": os,
        "inputs": inputs,
        "write": write,
        "result": {},
        "__name__": "program",
    }
    exec(compile(str(case["program"]), "<program>", "exec"), scope)
    result: dict[str, Any] = scope["result"]  # type: ignore[assignment]
    tolerance = meta.get("tol", {}).get("rtol", rtol), meta.get("tol", {}).get("atol", atol)
    for key, want in keys(case, "out."):
        try:
            close(result[key], want, *tolerance, key)
        except AssertionError:
            if f"alt.{key}" not in case:
                raise
            close(result[key], case[f"alt.{key}"], *tolerance, key)
    for key, want in json.loads(str(case.get("json", "{}"))).items():
        got = plain(result[key])
        assert same(got, want, meta.get("json_tol", 1e-4)), f"{key}: {got}, want {want}"


# ---- all cases that are numbers -------------------------------------------------------------------


def numeric() -> list[str]:
    """The cases of layers, nets, solvers and narrow FCNs, as `section/name` or `section/name#kind`."""
    found = [f"{section}/{name}" for section in ("layers", "nets") for name in names(section)]
    for name in names("solvers"):
        kinds = ("#restore", "#weights", "#own") if name.startswith("snap_") else ("",)
        found += [f"solvers/{name}{kind}" for kind in kinds]
    found += [f"fcn/{name}#forward" for name in names("fcn")]
    return found + [f"fcn/{name}#train" for name in names("fcn") if name.endswith("_a")]


def replay(which: str) -> None:
    """Replay one of `numeric` in the working folder and compare."""
    section, _, rest = which.partition("/")
    name, _, kind = rest.partition("#")
    bring(section)
    case, meta = load(section, name)
    if section in ("layers", "nets"):
        check_net(case, meta, rtol=5e-5 if section == "layers" else 1e-4, atol=1e-6)
    elif section == "fcn":
        (check_fcn_train if kind == "train" else check_fcn_forward)(case, meta)
    elif kind:
        check_snapshot(case, meta, kind)
    else:
        check_solver(case, meta)
