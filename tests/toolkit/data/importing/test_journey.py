"""Two commands from a raw folder to a mask: `fcn data import`, then training and labelling as always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import data as data_command
from fcn.commands import infer, train
from tests.toolkit.conftest import WIDTH
from tests.toolkit.data.importing import raw


@pytest.mark.slow
@pytest.mark.parametrize("make", [raw.labelme, raw.black_and_white])
def test_from_a_raw_folder_to_a_first_mask(make: Callable[[Path], None], base: Path, tmp_path: Path) -> None:
    make(tmp_path / "raw")
    assert data_command.main(["import", str(tmp_path / "raw"), "-o", str(tmp_path / "data")]) == 0
    options = [
        "--data",
        str(tmp_path / "data"),
        "--weights",
        str(base),
        "--width",
        str(WIDTH),
        "--iters",
        "1",
    ]
    assert train.main(["voc-fcn32s", *options, "--runs", str(tmp_path / "runs")]) == 0
    image = next((tmp_path / "raw").glob("im0.*[gG]"))
    run, out = str(tmp_path / "runs/voc-fcn32s"), str(tmp_path / "out")
    assert infer.main([str(image), "--weights", run, "-o", out]) == 0
    with Image.open(tmp_path / "out/im0.png") as mask:
        assert np.asarray(mask).shape == (raw.HEIGHT, raw.WIDTH)
