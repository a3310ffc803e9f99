"""Nets that are written inside a solver."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import caffe

SOLVER = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 1 '
OLD = 'layers { name: "d" type: DUMMY_DATA top: "d" dummy_data_param { shape { dim: 1 } } }'
NEW = 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("net_param", f"net_param {{ {OLD} }}"),
        ("train_net_param", f"train_net_param {{ {OLD} }}"),
        ("test_net_param",
         f"train_net_param {{ {NEW} }} test_net_param {{ {OLD} }} test_iter: 1 test_interval: 1"),
    ],
)  # fmt: skip
def test_an_old_net_inside_a_solver_is_refused_by_name(field: str, text: str, in_tmp) -> None:
    Path("solver.prototxt").write_text(SOLVER + text)
    with pytest.raises(caffe.SolverError, match=rf"^{field} has `layers`.*upgrade_solver_proto_text"):
        caffe.SGDSolver("solver.prototxt")


def test_old_layers_beside_new_ones_count_for_nothing(in_tmp, caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    """As in Caffe; it is said."""
    Path("solver.prototxt").write_text(
        SOLVER + f'net_param {{ {NEW} {OLD.replace("d", "e", 1)} input: "i" }}'
    )
    solver = caffe.SGDSolver("solver.prototxt")
    assert list(solver.net.blobs) == ["d"]
    assert "net_param has `layers` and `input`" in caplog.text
