"""In the kernel of a real notebook: notes and figures are there once, and results tell what they are."""

from __future__ import annotations

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.slow

CELLS = (
    "import neuroanp as na\n"
    "tiny = {'task': 'copy', 'network': {'hidden': 6}, 'training': {'updates': 3, 'controls': False}}\n"
    "run = na.train(tiny, report=False)\nrun",
    "run.metrics.plot()",
    "figure = run.metrics.plot()\n1",
    "na.compare(tiny, seeds=2, workers=1, report=False, progress=False)",
    "run.metrics",
    "run.weights()",
    "na.diagnose(tiny, draws=4, progress=False)",
    "run.export('onnx')",
)
WRONG = "na.train(\n    tiny, updates=-1, rule='anpp', progress=False)"


def test_a_notebook_shows_each_thing_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(book, timeout=200, kernel_name="python3").execute()
    trained, plotted, kept, compared, *others = (cell.outputs for cell in book.cells)
    notes = {name: "".join(out.text for out in trained if out.get("name") == name) for name in ("stdout", "stderr")}
    assert notes["stdout"].count("writes: verify") == 1
    assert not notes["stderr"], "a page paints it as an error"
    (bar,) = (out.data["text/plain"] for out in trained if out.output_type == "display_data")
    assert bar.startswith("done   copy ideal anp seed 0  loss ")
    assert trained[-1].data["text/plain"].startswith("Run(copy · ideal · anp · seed 0: test loss ")
    assert "<table>" in trained[-1].data["text/html"]
    for outputs in (plotted, kept):
        assert sum("image/png" in out.get("data", {}) for out in outputs) == 1
    assert len(plotted) == 1
    (shown,) = compared
    assert shown.data["text/plain"].startswith("Comparison(2 runs; lowest test loss ")
    for outputs in others:
        assert "<table>" in outputs[-1].data["text/html"]


def test_a_notebook_shows_an_error_of_the_caller_in_two_lines(tmp_path, monkeypatch):
    """The line of the cell and all that is wrong with it, in place of a page of ours."""
    monkeypatch.chdir(tmp_path)
    cells = [nbformat.v4.new_code_cell(cell) for cell in (CELLS[0].split("run =")[0], WRONG)]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=200, kernel_name="python3", allow_errors=True).execute()
    (error,) = book.cells[1].outputs
    where, said = error.traceback
    assert where.startswith("line 1: na.train(")
    assert said.startswith("InputError: ")
    assert "unknown rule 'anpp'" in said
    assert "-1 must be at least 0" in said
