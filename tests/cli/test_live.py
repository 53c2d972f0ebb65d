"""neuroanp live on a tiny real run: the table, the rows as JSON, the figure, what a user gets wrong."""

from __future__ import annotations

import json

from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "profile": "pcm",
    "training": {"updates": 3, "batch": 2, "controls": False},
}


def test_the_command_shows_a_table_and_a_figure(invoke, tmp_path):
    run, figure = launch(configure(TINY), tmp_path / "runs"), tmp_path / "month.svg"
    words = ("live", str(run.path), "--for", "1 d", "--every", "12 h", "--relearn", "2")
    shown = invoke(*words, "--figure", str(figure))
    assert shown.exit_code == 0, shown.stderr
    assert "anp relearns, 2 updates at rate 0.001" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert figure.read_bytes().startswith(b"<?xml")
    rows = json.loads(invoke(*words, "--json").stdout)["results"]
    assert [row["after"] for row in rows] == ["at once", "12 h", "1 d"]
    again = invoke(*words, "--figure", str(figure))
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert invoke(*words, "--figure", "month.pdf").exit_code == 2
    assert invoke(*words[:2], "--for", "a month").exit_code == 2
