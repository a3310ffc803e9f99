"""Images shared between the processes that torchrun starts: what one makes, and what is lost is named."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import caffe
import infer
import score
from fcn.ranks import Team, World, collected, contribute
from fcn.ranks.shares import _Letter
from fcn.sharding import ShardError
from tests.ranks import launched, ranks_of, together
from tests.source_tree import ROOT

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {
        num_output: 3 kernel_size: 5 pad: 2 weight_filler { type: "gaussian" std: 0.1 } } }
"""
#: A layer that keeps rank 1 for ever, as a disk might.
HANGS = """
import os, time, caffe
class Hangs(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        if os.environ["RANK"] == "1":
            open("hangs", "w").close()
            time.sleep(3600)
        top[0].data[...] = bottom[0].data
"""
HANGING = """
layer { name: "hangs" type: "Python" bottom: "score" top: "hung"
        python_param { module: "hangs" layer: "Hangs" } }
"""


@pytest.fixture
def net(tmp_path: Path) -> list[str]:
    """Weights and the net that they are for, as `score.py` takes them."""
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    return [str(tmp_path / "w.caffemodel"), "--net", str(tmp_path / "net.prototxt")]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_ranks_write_the_files_of_one_process(data: Path, net: list[str], tmp_path: Path, capfd) -> None:
    line = [*net, "--data", str(data), "--split", "train", "--trimap", "1,3", "--format", "json"]
    said = []
    for count in (1, 2):
        out = ["--out", str(tmp_path / f"score{count}"), "--save", str(tmp_path / f"saved{count}")]
        if count == 1:
            assert score.main([*line, *out]) == 0
        else:
            with launched(score.main, count, [*line, *out]) as ranks:
                assert ranks.all_say == [0, 0]
        said.append(capfd.readouterr().out)
    assert said[0] == said[1]
    assert files_in(tmp_path / "score1") == files_in(tmp_path / "score2")
    assert files_in(tmp_path / "saved1") == files_in(tmp_path / "saved2") != {}


def test_ranks_segment_images_and_the_first_tells_of_all(
    data: Path, net: list[str], tmp_path: Path, capfd
) -> None:
    (tmp_path / "photos").mkdir()
    for path in sorted((data / "JPEGImages").iterdir())[:4]:
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "photos" / "2.jpg").write_bytes(b"no picture")
    line = [str(tmp_path / "photos"), "--weights", *net, "--model", "voc-fcn8s", "--page"]
    line += ["--classes", str(data / "classes.txt")]
    out = [tmp_path / f"out{count}" for count in (1, 2)]
    status = infer.main([*line, "-o", str(out[0])])
    alone = capfd.readouterr()
    with launched(infer.main, 2, [*line, "-o", str(out[1])]) as ranks:
        assert ranks.all_say == [status] * 2
    several = capfd.readouterr()
    assert several.out == alone.out.replace(str(out[0]), str(out[1]))
    assert several.err == alone.err
    assert files_in(out[0]) == files_in(out[1]) != {}


@contextmanager
def squares() -> Iterator[Callable[[int], int]]:
    """A worker that fails at 13, dies at 15 and hangs at 17."""

    def square(number: int) -> int:
        if number == 13:
            raise ValueError("13 is unlucky")
        if number == 15:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 17:
            time.sleep(3600)
        return number * number

    yield square


def shared(items: list[list[int]]) -> Callable[[int, bytes], object]:
    """What a rank does with its list of items; the first says results, and what was not done."""

    def body(rank: int, uid: bytes) -> object:
        team, found = Team(World(rank, len(items), uid=uid)), list[int]()
        team.meet()
        with team.busy("at work"):
            if rank:
                contribute(team, squares, items[rank])
            else:
                try:
                    found += collected(team, squares, items[0])
                except ShardError as error:
                    return found, error.missing, str(error)
        return team.most([len(found)])

    return body


def test_results_come_in_order_and_all_end_together() -> None:
    with together(3, shared([list(range(7))] * 3)) as ranks:
        assert ranks.all_say == [[7]] * 3


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (13, "rank 1 of 2: 13 is unlucky"),
        (15, "has not been heard of for 4 s"),
        (17, "has sent nothing for 6 s (CAFFE_RANK_PATIENCE)"),
    ],
)
def test_what_a_rank_did_not_do_is_named(bad: int, why: str) -> None:
    env = {"CAFFE_RANK_TIMEOUT": "4", "CAFFE_RANK_PATIENCE": "6"}
    with together(2, shared([[1, 2, 3, bad, 5, 6, 7]] * 2), **env) as ranks:
        found, missing, said = ranks.says(0)
    assert found == [1, 4, 9, 25, 49] and missing == (bad, 6)
    assert why in said and f"not done: {bad}, 6" in said and "snapshot" not in said


@pytest.mark.parametrize("other", [[1, 9, 3, 4], [1, 2, 3], [1, 2, 3, 4, 5, 6]])
def test_ranks_with_different_lists_add_up_nothing_wrong(other: list[int]) -> None:
    with together(2, shared([[1, 2, 3, 4], other])) as ranks:
        found, missing, said = ranks.says(0)
    assert "list" in said and set(missing) <= {2, 4} and found[0] == 1


def test_sigterm_names_what_is_missing(tmp_path: Path) -> None:
    """As torchrun ends the others where one has failed."""
    with together(2, shared([[1, 2, 3, 17, 5]] * 2)) as ranks:
        time.sleep(1)
        os.kill(ranks.processes[0].pid, signal.SIGTERM)
        _, missing, said = ranks.says(0)
    assert "SIGTERM" in said and missing[-1] == 17


def test_a_letter_between_ranks_runs_no_code() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, ("/tmp/evil",)

    import io

    with pytest.raises(RuntimeError, match="which is no result"):
        _Letter(io.BytesIO(pickle.dumps(Evil()))).load()


@pytest.mark.slow
def test_torchrun_shares_the_images_and_names_those_of_a_rank_that_is_killed(
    data: Path, net: list[str], tmp_path: Path
) -> None:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = [str(ROOT / "score.py"), *net, "--data", str(data), "--split", "train", "--format", "json"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)}
    done = [
        subprocess.run([*command, *line], env=env, capture_output=True, text=True)
        for command in ([sys.executable], start)
    ]
    assert [each.returncode for each in done] == [0, 0], done[1].stderr[-3000:]
    assert done[0].stdout == done[1].stdout
    (tmp_path / "hangs.py").write_text(HANGS)
    net_file = Path(net[-1])
    net_file.write_text(net_file.read_text() + HANGING)
    with subprocess.Popen(
        [*start, *line], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not (tmp_path / "hangs").exists() and process.poll() is None:
                time.sleep(0.05)
            os.kill(ranks_of(process.pid, 2)[1], signal.SIGKILL)
            _, said = process.communicate()
        finally:
            process.kill()
    assert process.returncode == 1
    assert "SIGTERM" in said and "not done: 1\n" in said
