"""Tiny real trainings through the commands, and what a new user gets wrong."""

import io
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from neuroanp.records import RunDir

TINY = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 6}
training: {updates: 3, batch: 2}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def results(done) -> list[dict]:
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    return json.loads(done.stdout)["results"]


def test_train_prints_only_json_and_the_record_is_there(config: Path, invoke) -> None:
    done = invoke("train", str(config), "--profile", "pcm", "--seed", "4", "--json")
    assert done.exit_code == 0, done.stderr
    (result,) = results(done)
    assert (result["task"], result["profile"], result["rule"], result["seed"]) == ("copy", "pcm", "anp", 4)
    assert (result["status"], result["updates"]) == ("finished", 3)
    assert result["controls"]
    assert (Path(result["run"]) / "manifest.json").is_file()
    assert (Path(result["run"]) / "report.html").is_file()


def test_a_finished_run_is_shown_and_not_repeated(config: Path, invoke) -> None:
    (first,) = results(invoke("train", str(config), "--json"))
    made = (Path(first["run"]) / "result.json").stat().st_mtime_ns
    assert results(invoke("train", str(config), "--json")) == [first]
    assert results(invoke("resume", first["run"], "--json")) == [first]
    assert (Path(first["run"]) / "result.json").stat().st_mtime_ns == made
    assert results(invoke("train", str(config), "--json", "--force")) == [first]
    assert (Path(first["run"]) / "result.json").stat().st_mtime_ns > made


def test_the_shown_table_names_run_controls_and_report(config: Path, invoke) -> None:
    done = invoke("train", str(config))
    assert done.exit_code == 0, done.stderr
    for word in ("copy", "ideal", "anp", "ridge readout", "report: runs/"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_options_win_over_the_file(config: Path, invoke) -> None:
    (result,) = results(
        invoke("train", str(config), "--rule", "bptt", "--updates", "2", "--set", "training.updates=1", "--json")
    )
    assert (result["rule"], result["updates"]) == ("bptt", 1)


def test_a_run_needs_no_config(config: Path, invoke) -> None:
    sizes = ["--set", "network.hidden=6", "--set", "training.batch=2", "--set", "task.test_size=8"]
    (result,) = results(invoke("train", "--task", "copy", "--updates", "1", *sizes, "--json"))
    assert result["updates"] == 1


def test_dry_run_makes_nothing(config: Path, invoke) -> None:
    (expected,) = results(invoke("train", str(config), "--dry-run", "--json"))
    assert expected["passes"] > 0
    assert [path.name for path in config.parent.iterdir()] == ["tiny.yaml"]


def test_compare_trains_every_combination(config: Path, invoke) -> None:
    done = invoke("compare", str(config), "--rules", "anp,bptt", "--seeds", "1,3", "--workers", "1", "--json")
    assert done.exit_code == 0, done.stderr
    found = {(row["profile"], row["rule"], row["seed"]) for row in results(done)}
    assert found == {("ideal", rule, seed) for rule in ("anp", "bptt") for seed in (1, 3)}


def test_the_choices_of_a_run_are_said_when_it_starts(config: Path, invoke) -> None:
    from neuroanp import api

    heard: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, handler = logging.getLogger("neuroanp"), Heard()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        api.train(config, progress=lambda event: heard.append(event["phase"]))
        heard.append("again")
        api.train(config)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert heard[0].startswith("perturbation: Gaussian")
    assert heard[1].startswith("writes: ")
    assert heard[2] == "train"
    assert heard[-1] == "again"  # nothing runs: nothing is said


def test_a_train_says_each_line_once(config: Path, invoke) -> None:
    fresh = invoke("train", str(config)).stderr.splitlines()
    assert [line.partition(":")[0] for line in fresh] == ["perturbation", "writes"]
    assert invoke("train", str(config)).stderr.splitlines() == fresh  # the record says it


@pytest.mark.slow
def test_a_comparison_says_each_line_once_a_profile(config: Path, invoke) -> None:
    done = invoke("compare", str(config), "--profiles", "ideal,pcm", "--seeds", "2", "--workers", "1", "--no-report")
    assert done.exit_code == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(set(said)) == len(said)
    heads = [line.rpartition("warning: ")[2].split(": ")[:2] for line in said]
    for profile in ("ideal", "pcm"):
        assert heads.count([profile, "perturbation"]) == heads.count([profile, "writes"]) == 1


def test_runs_that_differ_in_an_option_are_no_seeds_of_one_method(config: Path, invoke) -> None:
    from neuroanp import api
    from neuroanp.cli.results import on_screen
    from neuroanp.reporting.reading import shown

    runs = [api.train(config, overrides={"optimizer.lr": lr, "seed": 0}) for lr in (1e-3, 1e-2)]
    out = Console(file=io.StringIO(), width=100)
    with out.capture() as capture:
        out.print(*on_screen([shown(run.record) for run in runs], out))
    assert "optimizer.lr 0.001" in capture.get()
    assert "optimizer.lr 0.01 " in capture.get()
    assert "accuracy" in capture.get()
    assert max(map(len, capture.get().splitlines())) <= 100


def test_the_repeat_command_can_be_pasted(config: Path, monkeypatch: pytest.MonkeyPatch, in_turn) -> None:
    import html

    from neuroanp import api

    spaced = config.with_name("my config.yaml")
    spaced.write_text(TINY)
    words = ["compare", "my config.yaml", "--seeds", "0", "--workers", "1"]
    page = api.compare(spaced, seeds=[0], workers=1, argv=["/venv/bin/neuroanp", *words]).report.read_text()
    assert f"<pre>{shlex.join(['neuroanp', *words])}</pre>" in html.unescape(page)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "--fast"])
    run = api.train(config, seed=5)
    page = (run.path / "report.html").read_text()
    assert f"neuroanp train {run.path / 'config.yaml'}" in page
    assert "--fast" not in page


def test_report_of_a_store_says_what_it_leaves_out(config: Path, invoke) -> None:
    (result,) = results(invoke("train", str(config), "--json"))
    broken = Path(result["run"]).with_name("broken")
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    done = invoke("report", "runs")
    assert done.exit_code == 0
    assert "left out: runs/broken" in done.stderr


def test_report_of_a_store_and_of_a_run(config: Path, invoke) -> None:
    (result,) = results(invoke("train", str(config), "--json"))
    for source in (result["run"], "runs"):
        done = invoke("report", source, "-o", "mine.html")
        assert done.exit_code == 0, done.stderr
        page = config.parent / "mine.html"
        assert "<html" in page.read_text()
        page.unlink()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: {name: copy}\ntraining:\n  updtes: 3\n", "tiny.yaml:3: training.updtes: unknown key; did you mean"),
        ("task: {name: cpy}\n", "did you mean 'copy'?"),
        ("task: {name: copy}\nprofile: pmc\n", ":2: profile: unknown profile 'pmc'; did you mean 'pcm'?"),
        ("task: {name: copy}\nrule: {name: anp, K: 0}\n", "tiny.yaml:2: rule.K"),
        ("task: {name: copy}\noptimizer: {lr: .nan}\n", "tiny.yaml:2: optimizer.lr"),
        ("task: {name: copy}\ndt: 1\n", "tiny.yaml:2: dt: '1' has no unit"),
        ("task: {name: copy}\ndt: 1 mV\n", "tiny.yaml:2: dt"),
        ("task: {name: copy}\nhardware: {only: [drfit]}\n", "drift"),
        ("task: {name: copy}\nseed: 1\nseed: 2\n", "tiny.yaml:3"),
        ("task: [copy\n", "tiny.yaml"),
        ("", "tiny.yaml"),
        ("network: {hidden: 6}\n", "task"),
        ("task: {name: weather, path: none.csv, target: temp}\n", "none.csv"),
    ],
    ids=["key", "task", "profile", "range", "nan", "unit", "dimension", "effect", "twice", "yaml", "empty", "no task",
         "no data"],
)  # fmt: skip
def test_a_wrong_config_ends_with_2_and_leaves_nothing(config: Path, invoke, text: str, said: str) -> None:
    config.write_text(text)
    ended = invoke("train", str(config), "--json")
    assert ended.exit_code == 2, ended.stderr
    assert said in ended.stderr
    assert ended.stdout == ""
    assert not (config.parent / "runs").exists()


def test_all_problems_are_said_at_once(config: Path, invoke) -> None:
    config.write_text("task: {name: copy, lenght: 3}\nnetwork: {hidden: none}\ntraining: {batch: -1}\n")
    ended = invoke("train", str(config))
    assert ended.exit_code == 2
    for said in ("tiny.yaml:1: task.lenght", "tiny.yaml:2: network.hidden", "tiny.yaml:3: training.batch"):
        assert said in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "rule.gama=0.5"], "gamma"),
        (["--set", "training.batch=none"], "training.batch"),
        (["--set", "rule=[1"], "--set"),
        (["--profile", "nowhere.yaml"], "nowhere.yaml"),
        (["--backend", "rat"], "rate"),
        (["--write", "verfy"], "hardware.write"),
        (["--only", "drift,reed_noise"], "read_noise"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_ends_with_2(config: Path, invoke, words: list[str], said: str) -> None:
    ended = invoke("train", str(config), *words)
    assert ended.exit_code == 2, ended.stderr
    assert said in ended.stderr
    assert not (config.parent / "runs").exists()


@pytest.mark.parametrize("words", [["--profile", "pmc"], ["--set", "profile=pmc"], ["--profile", "pmc", "--dry-run"]])
def test_problems_of_configuration_and_profile_are_said_at_once(config: Path, invoke, words: list[str]) -> None:
    ended = invoke("train", str(config), "--set", "rule.gama=2", "--set", "training.batch=0", *words)
    assert ended.exit_code == 2
    for said in ("did you mean 'rule.gamma'?", "--set training.batch=0", "did you mean 'pcm'?", "3 problems"):
        assert said in ended.stderr


def test_every_wrong_name_of_a_comparison_is_said_before_anything_runs(config: Path, invoke) -> None:
    words = ["--rules", "anq,,bptt", "--profiles", "pmc", "--seeds", "1,1", "--set", "training.btch=2"]
    ended = invoke("compare", str(config), *words)
    assert ended.exit_code == 2
    for said in (
        "--rules: unknown rule 'anq'; did you mean 'anp'?", "--rules: a name in 'anq,,bptt' is empty",
        "--profiles: unknown profile 'pmc'; did you mean 'pcm'?", "--seeds: '1' is named twice",
        "did you mean 'training.batch'?",
    ):  # fmt: skip
        assert said in ended.stderr
    assert "5 problems" in ended.stderr
    assert not (config.parent / "runs").exists()


@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_place_for_runs_that_cannot_be_made_is_said(config: Path, invoke, command: str) -> None:
    ended = invoke(command, str(config), "--runs", "tiny.yaml/deep/runs")
    assert ended.exit_code == 2, ended.stderr
    assert "tiny.yaml is no directory; choose another --runs DIR" in ended.stderr
    assert [path.name for path in config.parent.iterdir()] == ["tiny.yaml"]


def test_a_store_named_as_a_run_leads_to_its_newest_run(config: Path, invoke) -> None:
    (result,) = results(invoke("train", str(config), "--json"))
    ended = invoke("resume", "runs")
    assert ended.exit_code == 2
    assert result["run"] in ended.stderr


@pytest.mark.parametrize(
    "words",
    [["report", "tiny.yaml"], ["train", "none.yaml"], ["resume", "none"], ["report", "none"], ["resume", "."]],
)
def test_what_is_not_there_is_said(config: Path, invoke, words: list[str]) -> None:
    ended = invoke(*words)
    assert ended.exit_code == 2, ended.stderr
    assert words[1] in ended.stderr
    assert "bug" not in ended.stderr


def test_a_run_of_another_version_is_not_mixed(config: Path, invoke) -> None:
    (result,) = results(invoke("train", str(config), "--json"))
    RunDir.open(Path(result["run"])).update(code="0.0.1+000000000000", status="interrupted")
    ended = invoke("resume", result["run"])
    assert ended.exit_code == 2
    assert "0.0.1+000000000000" in ended.stderr


def neuroanp(*words: str, cwd: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "neuroanp", *words]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, id="Ctrl-C"), pytest.param(signal.SIGTERM, id="terminate", marks=pytest.mark.long)],
)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_an_interrupt_ends_with_a_checkpoint_and_a_way_on(config: Path, number: int, command: str) -> None:
    words = ["--set", "training.checkpoint_every=5", "--set", "training.controls=false", "--json"]
    process = neuroanp(command, str(config), "--updates", "20000", *words, cwd=config.parent)
    deadline = time.monotonic() + 60
    while not list(config.parent.glob("runs/*/checkpoints/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert ("neuroanp resume" if command == "train" else "the same command continues") in stderr
    (run,) = [path for path in (config.parent / "runs").iterdir() if (path / "manifest.json").exists()]
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
    assert (run.name in stderr) == (command == "train")


def test_a_reader_that_goes_away_is_no_crash(config: Path) -> None:
    process = neuroanp("tasks", "list", cwd=config.parent)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    assert process.wait(60) == 1
    assert stderr == ""
