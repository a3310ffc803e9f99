"""Solver states: both of Caffe's formats, and what is said to a state that does not belong here."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caffe._caffe.errors import ParseError, SolverError, WeightsError
from caffe._caffe.solvers import state
from caffe.proto import caffe_pb2 as pb

SHAPES = [(2, 3), (2,), (1, 4, 1, 1)]


def arrays(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [np.arange(np.prod(shape), dtype="f4").reshape(shape) + i for i, shape in enumerate(shapes)]


def tensors(shapes: list[tuple[int, ...]]) -> list[torch.Tensor]:
    return [torch.full(shape, -1.0) for shape in shapes]


@pytest.fixture(params=["", ".h5"])
def written(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A state of SHAPES in either format, in the current folder beside its model."""
    monkeypatch.chdir(tmp_path)
    Path("x_iter_30.caffemodel").touch()
    path = f"x_iter_30.solverstate{request.param}"
    write = state.save_hdf5 if request.param else state.save_binary
    write(path, 30, "x_iter_30.caffemodel", 2, arrays(SHAPES))
    return path


def test_what_is_saved_is_restored(written: str) -> None:
    loaded = state.load(written, SHAPES, 1, "SGD")
    assert (loaded.iter, loaded.learned_net, loaded.current_step) == (30, "x_iter_30.caffemodel", 2)
    history = tensors(SHAPES)
    history = loaded.read_history(history)
    for tensor, array in zip(history, arrays(SHAPES)):
        np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.data
@pytest.mark.parametrize("solver,per_param", [("SGD", 1), ("AdaDelta", 2), ("Adam", 2)])
@pytest.mark.parametrize("format", ["bin", "h5"])
def test_states_written_by_caffe(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: str, per_param: int, format: str
) -> None:
    """Read right (against protobuf or h5py), and written again: binary byte for byte."""
    snapshots = shared / "golden" / "solvers" / "snapshots"
    for file in (snapshots / f"snap_{solver.lower()}_{format}").iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    path = "snap_iter_10.solverstate" + (".h5" if format == "h5" else "")
    if format == "h5":
        with h5py.File(path) as file:
            wanted = [file["history"][str(i)][()] for i in range(len(file["history"]))]
    else:
        message = pb.SolverState.FromString(Path(path).read_bytes())
        wanted = [np.reshape(np.array(b.data, "f4"), tuple(b.shape.dim)) for b in message.history]
    shapes = [(7, 5), (7,), (4, 7), (4,)]
    loaded = state.load(path, shapes, per_param, solver)
    assert loaded.iter == 10 and loaded.learned_net == path.replace("solverstate", "caffemodel")
    history = tensors(shapes * per_param)
    history = loaded.read_history(history)
    assert len(wanted) == len(history)
    for tensor, array in zip(history, wanted):
        np.testing.assert_array_equal(tensor.numpy(), array)

    write = state.save_hdf5 if format == "h5" else state.save_binary
    write("again", loaded.iter, loaded.learned_net, loaded.current_step, [t.numpy() for t in history])
    if format == "bin":
        assert Path("again").read_bytes() == Path(path).read_bytes()
        return
    with h5py.File("again") as ours, h5py.File(path) as theirs:
        assert set(ours) == set(theirs) and set(ours["history"]) == set(theirs["history"])
        for name in ("iter", "current_step", "learned_net"):
            assert ours[name].shape == theirs[name].shape and ours[name][()] == theirs[name][()]
            assert ours[name].id.get_type() == theirs[name].id.get_type()


@pytest.mark.parametrize("solver,factor", [("SGD", 1), ("Nesterov", 1), ("Adam", 2), ("AdaDelta", 2)])
def test_a_history_of_another_solver_type(written: str, solver: str, factor: int) -> None:
    with pytest.raises(SolverError) as error:
        state.load(written, [(4, 2), (4,)], factor, solver)
    text = str(error.value)
    assert "Incorrect length of history blobs" in text and written in text
    assert f"{solver} solver needs {2 * factor}, {factor} for each of 2 learnable parameters" in text


@pytest.mark.parametrize("shape", [(3, 3), (2, 2)])
def test_a_history_of_another_net(written: str, shape: tuple[int, int]) -> None:
    with pytest.raises(SolverError, match=r"history blob 0 of '.*' has (6 values|shape \(2, 3\))"):
        state.load(written, [shape, *SHAPES[1:]], 1, "SGD")


def test_only_hdf5_minds_the_shape_of_equally_many_values(written: str) -> None:
    shapes = [(6,), *SHAPES[1:]]
    if written.endswith(".h5"):
        with pytest.raises(SolverError, match="another net"):
            state.load(written, shapes, 1, "SGD")
    else:
        history = tensors(shapes)
        history = state.load(written, shapes, 1, "SGD").read_history(history)
        assert history[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_state_whose_model_is_gone(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(SolverError, match=r"'x_iter_30.caffemodel', which is not there.*'\.\./x_iter_30"):
        state.load(f"../{written}", SHAPES, 1, "SGD")
    (tmp_path / "x_iter_30.caffemodel").unlink()
    with pytest.raises(SolverError, match=r"which is not there when looked for from '.*elsewhere'$"):
        state.load(f"../{written}", SHAPES, 1, "SGD")


def test_a_model_in_place_of_a_state(written: str) -> None:
    model = written.replace("solverstate", "caffemodel")
    Path(model).touch()
    with pytest.raises(SolverError, match=f"is a model; .*'{written}' exists"):
        state.load(model, SHAPES, 1, "SGD")
    Path(written).unlink()
    with pytest.raises(SolverError, match=f"is a model; .*'{written}' does not exist$"):
        state.load(model, SHAPES, 1, "SGD")


def test_files_that_are_missing_or_no_states(written: str) -> None:
    with pytest.raises(SolverError, match="File not found: nowhere.solverstate"):
        state.load("nowhere.solverstate", SHAPES, 1, "SGD")
    if not written.endswith(".h5"):
        with pytest.raises(SolverError, match=r"'x_iter_30\.solverstate' exists"):
            state.load("x_iter_30", SHAPES, 1, "SGD")
    raw = Path(written).read_bytes()
    Path(written).write_bytes(raw[: len(raw) - 9])
    with pytest.raises(ParseError, match=f"Failed to .*'{written}'"):
        state.load(written, SHAPES, 1, "SGD")


def test_other_messages_are_no_states(tmp_path: Path) -> None:
    path = tmp_path / "net"
    net = pb.NetParameter(name="a net")
    net.layer.add(name="ip").blobs.add(data=[1])
    path.write_bytes(net.SerializeToString())
    with pytest.raises(SolverError, match="is not a solver state"):
        state.load_binary(path)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("data")
    with pytest.raises(SolverError, match="is not a solver state"):
        state.load_hdf5(tmp_path / "w.h5")


@pytest.mark.parametrize(("name", "value"), [
    ("history", np.zeros(3)),
    ("iter", b"ten"),
    ("iter", np.zeros(0)),
    ("current_step", None),
    ("learned_net", np.zeros(3)),
    ("learned_net", None),
])  # fmt: skip
def test_an_hdf5_state_with_a_member_of_another_kind(tmp_path: Path, name: str, value) -> None:
    path = tmp_path / "s.h5"
    state.save_hdf5(path, 1, "m", 0, [np.ones(3, "f4")])
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is None:
            file.create_group(name)
        else:
            file[name] = value
    with pytest.raises(ParseError, match=f"s.h5' is not a solver state: '{name}' is"):
        state.load_hdf5(path)


def test_a_state_without_a_model(tmp_path: Path) -> None:
    """Caffe then restores the rest."""
    (tmp_path / "s").write_bytes(pb.SolverState(iter=3).SerializeToString())
    loaded = state.load(tmp_path / "s", [], 1, "SGD")
    assert loaded.iter == 3 and loaded.learned_net == "" and loaded.current_step == 0


def test_the_histories_old_caffes_wrote(tmp_path: Path) -> None:
    """Four dims and no shape: the number of values is what counts."""
    message = pb.SolverState(iter=5, learned_net="")
    message.history.add(num=1, channels=1, height=1, width=4, data=[1, 2, 3, 4])
    (tmp_path / "old").write_bytes(message.SerializeToString())
    history = tensors([(4,)])
    history = state.load(tmp_path / "old", [(4,)], 1, "SGD").read_history(history)
    assert history[0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("write", [state.save_binary, state.save_hdf5])
def test_a_failed_save_leaves_the_old_state(tmp_path: Path, write) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"old")

    def history():
        yield np.ones(3, "f4")
        raise OSError(28, "No space left on device")

    with pytest.raises(WeightsError, match="No space left"):
        write(path, 1, "m", 0, history())
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
