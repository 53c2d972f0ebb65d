"""A real run of tiny experiments: results, resumption by the store, files, and data that are missing."""

import json
from math import inf, isfinite
from pathlib import Path

import pytest

import neuroanp
from neuroanp.errors import InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.reproducing.running import Cell, read
from neuroanp.reproducing.verdicts import OPEN
from tests.reproducing.conftest import tiny


@pytest.fixture
def reproduce(small, tmp_path: Path):
    def run(**how):
        settings = {"quick": True, "seeds": [5], "workers": 1, "runs": tmp_path / "runs", "progress": False}
        return neuroanp.reproduce(**{**settings, **how})

    return run


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroanp.reproducing.running.rate", lambda experiment, way, quick: 1e-3)


@pytest.mark.slow
def test_tiny_experiments_are_run_measured_and_reported(reproduce, tmp_path: Path, caplog) -> None:
    """What the report says is what the store has; the same call runs nothing again."""
    out = tmp_path / "out"
    made = reproduce(only=["copy_fixed", "psmnist"], output=out)
    assert made.output == out
    assert [one.way for one in made.measured] == [*tiny()["copy_fixed"].ways]
    assert made.failed == []
    assert "task mnist needs files" in made.missing["psmnist"]
    assert "psmnist is left out: task mnist needs files" in caplog.text
    for one in made.measured:
        record = RunDir.open(tmp_path / "runs" / str(one.run))
        assert record.result is not None
        assert one.values["loss"] == record.result["test_loss"]
        assert one.values["trained"] == record.manifest["scores"]["training_loss"]
        assert one.updates == record.result["updates"]
    with_controls = [one.way for one in made.measured if "constant_mean" in one.values]
    assert with_controls == ["bptt"]
    assert {finding.verdict for finding in made.findings} == {OPEN}  # one seed
    text, plain = (out / "report.md").read_text(), json.loads((out / "report.json").read_text())
    assert plain["runs"][0]["values"]["trained"] == made.measured[0].values["trained"]
    assert "- recall was not run; add it to --only: BP (recall)" in text
    assert "Not run: task mnist needs files" in text
    assert "an update of backpropagation, forward and back, counts two" in text
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/result.json")}
    again = reproduce(only=["copy_fixed", "psmnist"])
    assert again.measured == made.measured
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/result.json")} == before


def test_a_run_that_diverged_has_an_infinite_loss(reproduce, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from neuroanp.comparing.worker import Outcome
    from neuroanp.training.launch import launch

    monkeypatch.setattr("neuroanp.reproducing.running.rate", lambda experiment, way, quick: 1e3)
    cell = Cell(tiny()["recall"], "anp", 4, 5, quick=True)
    with pytest.raises(neuroanp.errors.DivergedError) as ended:
        launch(cell.config, tmp_path / "runs")
    found = read(cell, Outcome("anp", ended.value.path, str(ended.value)))
    assert (found.error, isfinite(found.values["loss"])) == (None, False)
    assert dict(found.values) == {"loss": inf}  # recall has no accuracy, and no trained sequence
    fixed = read(Cell(tiny()["copy_fixed"], "anp", 4, 5, quick=True), Outcome("anp", ended.value.path))
    assert dict(fixed.values) == {"loss": inf, "trained": inf}
    lost = read(cell, Outcome("anp", None, "no room"))
    assert (lost.error, dict(lost.values)) == ("no room", {})


@pytest.mark.slow
def test_what_is_expected_is_what_is_run(reproduce, tmp_path: Path) -> None:
    """8 passes of 8 methods: 4 updates of 7, 2 of the one that takes four; 2 sequences of 5 steps, 4 x (3 + 4 + 2)."""
    from neuroanp.reproducing.paper import Asked, expected

    asked = Asked.of(quick=True, only=["copy_fresh", "psmnist"], seeds=[5])
    fresh, digits = expected(asked, tmp_path / "runs")
    assert (fresh.runs, fresh.there, fresh.updates, fresh.passes) == (8, 0, 7 * 4 + 2, 8 * 8)
    assert fresh.multiply_accumulates == 8 * 8 * 2 * 5 * 4 * (3 + 4 + 2)
    assert "needs files" in str(digits.missing)
    assert not (tmp_path / "runs").exists()
    assert fresh.least_s == 8.0  # a second a run: the products of 5 steps of 4 units take less
    assert fresh.most_s is not None
    assert fresh.most_s > 8.0
    reproduce(only=["copy_fresh"])
    after, _ = expected(asked, tmp_path / "runs")
    assert (after.runs, after.there, after.updates, after.passes, after.least_s, after.most_s) == (8, 8, 0, 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"what": "papers"}, "'papers': 'paper' is all that can be reproduced"),
        ({"only": ["recal"]}, "no experiment 'recal'; did you mean 'recall'?"),
        ({"seeds": 6}, "6 of the paper's 5 seeds"),
        ({"seeds": "3"}, "seeds: "),
        ({"quick": 1}, "neither True nor False"),
        ({"workers": 0}, "0 processes are too few"),
        ({"csv": ""}, "csv: is empty"),
        ({"output": __file__}, "is no folder; name another one with --out"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(reproduce, tmp_path: Path, how, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        reproduce(**how)
    assert not (tmp_path / "runs").exists()
