"""requirements: what is refused before anything is run, each in one line, and what it would take."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroanp.cli.main import app

CONFIG = """
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 4}
network: {hidden: 4}
profile: rram_hfo2
rule: anp
hardware: {write: pulse, only: [adc]}
training: {updates: 2, batch: 2}
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)

    def run(*words: str):
        return CliRunner().invoke(app, ["requirements", *words])

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "test_loss 0.01"), "--target: 'test_loss 0.01' is no target; write METRIC < NUMBER"),
        (("--target", "tast_loss < 0.01"), "--target: a result has no 'tast_loss'; did you mean 'test_loss'?"),
        ((), "--target: '' is no target"),
        (("--target", "test_loss < 1", "--seeds", "1"), "--seeds: 1 seed: no ranking without spread; take at least 2"),
        (("--target", "test_loss < 1", "--seeds", "3,3"), "--seeds: a seed is named twice"),
        (("--target", "test_loss < 1", "--profile", "ideal", "--write", "auto"), "profile ideal: states nothing"),
        (("--target", "test_loss < 1", "--profile", "ideal"), "hardware.write: 'pulse' has no law in profile 'ideal'"),
        (("--target", "test_loss < 1", "--profile", "pmc"), "unknown profile 'pmc'; did you mean 'pcm'?"),
        (("--target", "test_loss < 1", "--decades", "9"), "--decades: 9 is not above 0 and at most 6"),
        (("--target", "test_loss < 1", "--points", "99"), "--points: 99 is not from 1 to 20"),
        (("--target", "test_loss < 1", "--max-runs", "5"), "swept runs), more than the 5 that are begun unasked"),
        (("--target", "test_loss < 1", "--seeds", "999999999"), "999,999,999 seeds"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_nothing_is_written(call, words: tuple[str, ...], said: str) -> None:
    shown = call("c.yaml", *words)
    assert shown.exit_code == 2, shown.output
    assert said in shown.stderr
    assert len([line for line in shown.stderr.splitlines() if line.strip()]) == 1, shown.stderr
    assert os.listdir() == ["c.yaml"]


@pytest.mark.slow
def test_costs_are_told_before(call) -> None:
    shown = call("c.yaml", "--target", "test_loss < 0.01", "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    (told,) = json.loads(shown.stdout)["results"]
    assert (told["parameters"], told["seeds"], told["runs"], told["runs_of_pairs"]) == (
        3,
        3,
        36,
        9,
    )  # dw 3, up_down 3, bits 5, and as stated
    assert os.listdir() == ["c.yaml"]
    assert "runs of pairs" in call("c.yaml", "--target", "test_loss < 0.01", "--dry-run").stdout


@pytest.mark.long
def test_a_sweep_is_shown_as_table_and_words_and_in_lines_that_fit(call, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "c.yaml",
        "--target",
        "test_loss < 1e-9",
        "--seeds",
        "2",
        "--points",
        "1",
        "--workers",
        "1",
        "--pairs",
        "1",
    )
    shown = call(*words, "--json")
    assert shown.exit_code == 0, shown.output
    (found,) = json.loads(shown.stdout)["results"]
    for columns in (60, 120, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = call(*words, "--no-progress")
        assert shown.exit_code == 0, shown.output
        *lines, last = shown.stdout.splitlines()
        assert max(map(len, lines)) <= columns
        assert last == f"report: {found['report']}"
        said = " ".join(shown.stdout.split())
        for line in found["words"]:
            assert " ".join(line.split()) in said
