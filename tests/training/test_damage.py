"""A run whose checkpoint is whole goes on, whatever befell its other files; numbers that changed are said."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from neuroanp.errors import InputError, RunError
from neuroanp.records.run_dir import RunDir
from neuroanp.training import launch as launching
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch, resume
from neuroanp.training.results import result_of

TINY = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 6, "batch": 2, "checkpoint_every": 2, "evaluate_every": 3, "log_every": 1,
                 "controls": False},
}  # fmt: skip


def final(record: RunDir):
    """The end of a run without what a clock says."""
    tensors, _ = record.load_checkpoint(record.checkpoints()[-1])
    metrics = [",".join(line.split(",")[:-1]) for line in (record.path / "metrics.csv").read_text().splitlines()]
    result = {key: value for key, value in (record.result or {}).items() if key != "run"}
    books = record.manifest["ledger"], record.manifest["health"]
    return {n: t.numpy().tobytes() for n, t in tensors.items()}, metrics, result, books


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, and the same one interrupted after its fourth update, each to be copied."""
    home = tmp_path_factory.mktemp("made")
    config = configure(TINY, {"profile": "pcm"})
    whole = launch(config, home / "whole")

    def stop(event):
        if event["phase"] == "train" and event["update"] == 4:
            os.kill(os.getpid(), 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
        with pytest.raises(RunError, match="interrupted at update 4"):
            launch(config, home / "cut", progress=stop)
    return config, whole.path, next((home / "cut").iterdir()), final(whole)


@pytest.fixture
def cut(made, tmp_path) -> Path:
    return Path(shutil.copytree(made[2], tmp_path / "runs" / made[2].name))


@pytest.fixture
def finished(made, tmp_path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "runs" / made[1].name))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("go_on", ["resume", "train"])
def test_one_wrong_letter_in_the_header_of_the_metrics_stops_nothing(made, cut, go_on, caplog):
    config, _, _, wanted = made
    change(cut / "metrics.csv", "saturated", "saturatdd")
    record = resume(cut) if go_on == "resume" else launch(config, cut.parent)
    assert final(record) == wanted
    assert record.sealed is True
    assert "restored from copies/metrics.csv" in caplog.text
    assert any(line.startswith("warning: ") and "metrics.csv" in line for line in record.manifest["log"])
    assert "saturatdd" in (cut / "damaged" / "metrics.csv").read_text()


def test_metrics_of_which_no_copy_is_whole_leave_a_gap_and_nothing_else(made, cut, caplog):
    for path in (cut / "metrics.csv", cut / "copies" / "metrics.csv"):
        change(path, "saturated", "saturatdd")
    record = resume(cut)
    weights, rows, result, books = final(record)
    assert (weights, result, books) == (made[3][0], *made[3][2:])
    assert rows == [made[3][1][0], *made[3][1][-2:]]
    assert "the rows up to here are lost" in caplog.text
    assert record.sealed is True


@pytest.mark.parametrize("name", ["manifest.json", "metrics.csv", ".lock", "copies"])
@pytest.mark.parametrize("state", ["cut", "finished"])
def test_a_directory_in_the_place_of_a_file_stops_nothing(made, request, state, name):
    path = request.getfixturevalue(state)
    shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()
    (path / name).mkdir()
    assert final(resume(path)) == made[3]


def test_an_edited_result_is_said_and_the_true_one_is_shown_and_restored(made, finished, caplog):
    true = made[3][2]["test_loss"]
    change(finished / "result.json", '"test_loss": 0.', '"test_loss": 0.0')
    row = result_of(RunDir.open(finished)) or {}
    assert (row["test_loss"], row["sealed"]) == (true, False)
    assert "result.json: not as it was written" in row["damage"][0]
    shown = launch(made[0], finished.parent)
    assert final(shown) == made[3]
    assert (result_of(shown) or {})["sealed"] is True
    assert json.loads((finished / "result.json").read_text())["test_loss"] == true
    assert json.loads((finished / "damaged" / "result.json").read_text())["test_loss"] != true
    assert "restored from copies/result.json" in caplog.text


@pytest.mark.parametrize("name", ["result.json", "predictions.safetensors"])
def test_what_an_end_computed_is_computed_again_from_the_last_checkpoint(made, finished, name, caplog):
    for path in (finished / name, finished / "copies" / name):
        path.unlink(missing_ok=True)
    record = resume(finished)
    assert final(record) == made[3]
    assert record.load_arrays("predictions") is not None
    assert "computed again from the last checkpoint" in caplog.text
    assert record.sealed is True


def test_a_configuration_that_cannot_be_read_is_taken_from_its_copy(made, cut):
    (cut / "config.yaml").write_bytes(b"task: [\xff")
    assert final(resume(cut)) == made[3]


def test_an_edited_configuration_is_no_resumed_run(made, cut):
    before = (cut / "config.yaml").read_bytes()
    change(cut / "config.yaml", "updates: 6", "updates: 9")
    with pytest.raises(InputError, match="says something else than when the run began") as caught:
        resume(cut)
    assert "neuroanp train" in str(caught.value)
    shutil.copy(cut / "copies" / "config.yaml", cut / "config.yaml")  # the remedy that is named
    assert (cut / "config.yaml").read_bytes() == before
    assert final(resume(cut)) == made[3]


@pytest.mark.parametrize("name", ["result.json", "metrics.csv", "predictions.safetensors"])
def test_a_report_says_what_is_damaged(finished, name, tmp_path):
    from neuroanp import api

    for path in (finished / name, finished / "copies" / name):
        if path.exists():
            path.write_bytes(path.read_bytes()[:-9] + b"\n}\n")
    if name == "result.json":  # there is none to report on then, which is said too
        with pytest.raises(InputError, match="no run with a result"):
            api.report([finished], tmp_path / "page.html")
        return
    page = api.report([finished], tmp_path / "page.html").read_text()
    assert "Not as the runs wrote it" in page
    assert f"{name}: not as it was written" in page


def test_other_arithmetic_is_said_when_a_run_goes_on_with_it(made, cut, monkeypatch, caplog):
    real = launching.arithmetic
    monkeypatch.setattr(launching, "arithmetic", lambda *how: {**real(*how), "MKL_CBWR": "COMPATIBLE"})
    record = resume(cut)
    told = "resumed with other arithmetic: MKL_CBWR was not set, is COMPATIBLE"
    assert told in caplog.text
    assert any(line.startswith(f"warning: {told}") for line in record.manifest["log"])
    assert [facts.get("MKL_CBWR") for facts in record.manifest["arithmetic"]] == [None, "COMPATIBLE"]


def test_the_same_arithmetic_is_no_news(cut, caplog):
    record = resume(cut)
    assert len(record.manifest["arithmetic"]) == 1
    assert "arithmetic" not in caplog.text


@pytest.mark.parametrize("name", ["MKL_CBWR", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE"])
def test_variables_that_choose_a_branch_are_facts(monkeypatch, name):
    from neuroanp.records.environment import arithmetic, differences

    before = arithmetic("cpu", 1)
    monkeypatch.setenv(name, "something")
    assert differences(before, arithmetic("cpu", 1)) == [f"{name} was not set, is something"]
    assert differences(before, arithmetic("cpu", 2))[0].startswith(name)
    assert "threads was 1, is 2" in differences(before, arithmetic("cpu", 2))


def test_health_at_the_end_is_that_of_the_last_update_wherever_it_was_computed(tmp_path):
    whole = launch(configure(TINY, {"profile": "rram_hfo2", "hardware.write": "verify"}), tmp_path)
    wanted = final(whole)
    assert whole.manifest["health"]["unverified"] > 0
    for path in (whole.path / "result.json", whole.path / "copies" / "result.json"):
        path.unlink()
    assert final(resume(whole.path)) == wanted
