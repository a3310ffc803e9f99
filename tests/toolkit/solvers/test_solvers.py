"""The recipes: complete as text; `test_published.py` compares them with the release's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format

import nets
import solvers
from caffe.proto import caffe_pb2
from solvers.__main__ import main


def test_accum_is_the_conference_papers_recipe() -> None:
    row = solvers.recipe("voc-fcn32s", "accum")
    assert (row.iter_size, row.momentum, row.base_lr, row.normalize) == (20, 0.9, 1e-4, True)
    rates = [solvers.recipe(m, "accum").base_lr for m in ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")]
    assert rates[1] / rates[0] == pytest.approx(0.01) and rates[2] / rates[1] == pytest.approx(0.01)


@pytest.mark.parametrize(("model", "rate"), [
    ("voc-fcn-alexnet", 1e-3), ("voc-fcn32s", 1e-4), ("voc-fcn-googlenet", 5e-5),
])  # fmt: skip
def test_each_classifier_has_the_papers_rate_and_biases_at_twice_that(model: str, rate: float) -> None:
    """Section 4.3 of the conference paper."""
    row = solvers.recipe(model, "accum")
    assert (row.base_lr, row.momentum, row.iter_size, row.weight_decay) == (rate, 0.9, 20, 5e-4)
    options = {"normalize": row.normalize, "double_bias": row.double_bias}
    proto = nets.build(model, "train", **options)
    rates = {
        layer.name: [param.lr_mult for param in layer.param]
        for layer in proto.layer
        if layer.type == "Convolution"
    }
    assert set(map(tuple, rates.values())) == {(1, 2)} and proto.layer[-1].loss_param.normalize


def test_a_run_of_other_length_says_its_own_in_its_solver() -> None:
    """The release's solver of NYUDv2 says 300,000, and its script stops at 100,000."""
    row = solvers.recipe("nyud-fcn32s-color")
    assert (row.max_iter, solvers.solver(row).max_iter) == (100_000, 300_000)
    assert solvers.solver(row.changed(max_iter=7, base_lr=None)).max_iter == 7


def test_unknown_recipes_name_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'voc-fcn-alexnet' has no recipe 'heavy'; it has release, accum"):
        solvers.recipe("voc-fcn-alexnet", "heavy")
    with pytest.raises(ValueError, match="voc-fcn8s-atonce"):
        solvers.recipe("voc-fcn4s")


def test_text_is_the_message_with_a_header() -> None:
    row = replace(solvers.recipe("voc-fcn8s"), max_iter=7)
    text = solvers.text(row, train_net="a", val_net=None, snapshot_prefix="b", seed=3)
    assert text_format.Parse(text, caffe_pb2.SolverParameter()) == solvers.solver(
        row, train_net="a", val_net=None, snapshot_prefix="b", seed=3
    )
    assert "# run: fcn train voc-fcn8s" in text and "65.5 mean IU" in text
    parsed = text_format.Parse(text, caffe_pb2.SolverParameter())
    assert not parsed.test_net and not parsed.test_iter and parsed.random_seed == 3 and parsed.max_iter == 7


def test_a_rate_that_falls_is_in_the_solver_that_caffe_reads() -> None:
    row = replace(solvers.recipe("voc-fcn8s", "light"), lr_policy="poly", power=0.9)
    parsed = text_format.Parse(solvers.text(row), caffe_pb2.SolverParameter())
    assert (parsed.lr_policy, parsed.power) == ("poly", pytest.approx(0.9))
    assert not solvers.solver(solvers.recipe("voc-fcn8s")).HasField("power")


def test_a_command_of_several_lines_stays_a_comment() -> None:
    text = solvers.text(solvers.recipe("voc-fcn8s"), command="python -c '\nimport solve\n'")
    assert text_format.Parse(text, caffe_pb2.SolverParameter()).max_iter == 100_000


def test_the_command_writes_one_solver_per_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*/solver.prototxt"))) == len(solvers.RECIPES)
    capsys.readouterr()
    assert main(["voc-fcn32s", "--recipe", "accum"]) == 0
    assert "20 image(s) a step" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["voc-fcn-alexnet", "--recipe", "heavy"])
