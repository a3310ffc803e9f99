"""The notebook of examples/: stored without outputs, and run from top to bottom."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\((\.\./[^)]+)\)", text)
    assert links and all((path.parent / link).exists() for link in links)


@pytest.mark.slow
@pytest.mark.timeout(1500)  # on a machine that others use too
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what drives the kernel
def test_the_notebook_trains_nets_of_which_the_finer_is_the_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OMP_NUM_THREADS", "1"
    )  # threads that wait for each other cost more than they bring here
    pytest.importorskip("ipykernel", reason="the extra 'notebook' is not installed")
    pytest.importorskip("nbclient", reason="the extra 'notebook' is not installed")
    pytest.importorskip("jinja2", reason="the extra 'report' is not installed")
    from dev.run_notebook import executed

    cells = executed(ROOT / "examples/from-shapes-to-fcn.ipynb", tmp_path).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    printed = "\n".join(output.text for output in outputs if output.output_type == "stream")
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    ious = dict(re.findall(r"^(FCN-\d+s) +\S+ +\S+ +(\S+)", printed, re.M))
    assert float(ious["FCN-32s"]) < float(ious["FCN-16s"]) < float(ious["FCN-8s"])
    assert any("score_pool3c" in page for page in pages) and any("confusion" in page for page in pages)
    assert " 0 FAIL" in printed and "WRONG" not in printed
    assert (tmp_path / "runs/notebook/report/report.html").is_file()
