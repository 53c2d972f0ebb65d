"""What a command says of clusters, limits and stores that others hold; and with which exit code it ends."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from neuroanp.comparing import choosing
from neuroanp.records.sweep_lock import held_for_sweep

QUEUE = "kind: slurm\njobs: 4\nmemory: 8 GB\nhost: 127.0.0.1\nwalltime: '02:00:00'\n"
COMPARE = ["compare", "--task", "copy", "--seeds", "2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "tcp://node"], "write e.g. tcp://host:8786"),
        (["--cluster", "node:8786"], "did you mean tcp://node:8786?"),
        (["--time-limit", "10"], "--time-limit (time_limit): '10' has no unit; write e.g. '10 min'"),
        (["--memory-limit", "4 s"], "--memory-limit (memory_limit): '4 s' is not a memory size; write e.g. '4 GB'"),
        (["--wait", "--share"], "--wait, --share: one of them"),
        (["--dashboard"], "--dashboard: the page is Dask's; add --cluster local"),
    ],
)
@pytest.mark.parametrize("command", [COMPARE, ["transfer", "--task", "copy", "--profiles", "pcm"]], ids=lambda c: c[0])
def test_what_cannot_be_is_told_with_exit_code_2_and_nothing_is_written(
    tmp_path, monkeypatch, invoke, command, words, said
):
    monkeypatch.chdir(tmp_path)
    done = invoke(*command, *words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert [*tmp_path.iterdir()] == []


def test_a_missing_extra_is_told_with_its_remedy(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        choosing, "find_spec", lambda name: None if name == "distributed" else importlib.util.find_spec(name)
    )
    done = invoke(*COMPARE, "--cluster", "local")
    assert done.exit_code == 2
    assert "pip install 'neuroanp[cluster]'" in done.stderr
    assert [*tmp_path.iterdir()] == []


def test_a_dry_run_prints_the_script_of_a_job_and_writes_nothing(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    Path("slurm.yaml").write_text(QUEUE)
    done = invoke(*COMPARE, "--cluster", "slurm.yaml", "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert (
        "2 runs, on slurm (slurm.yaml), as many at a time as its workers have threads; nothing was run" in done.stdout
    )
    assert "#SBATCH -t 02:00:00" in done.stdout
    assert "tcp://127.0.0.1:<port>" in done.stdout
    as_json = invoke(*COMPARE, "--cluster", "slurm.yaml", "--dry-run", "--json")
    (told,) = json.loads(as_json.stdout)["results"]
    assert told["runs"] == 2
    assert "#SBATCH --mem=8G" in told["job_script"]
    assert [path.name for path in tmp_path.iterdir()] == ["slurm.yaml"]


def test_a_dry_run_without_a_cluster_says_how_many(invoke):
    assert invoke(*COMPARE, "--workers", "1", "--dry-run").stdout == "2 runs, at most 1 at a time; nothing was run\n"


def test_a_store_that_another_command_holds_is_told_with_exit_code_2(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    with held_for_sweep(tmp_path / "runs", ["neuroanp", "compare", "other.yaml"]):
        done = invoke(*COMPARE, "--updates", "1")
    assert done.exit_code == 2
    assert "since 20" in done.stderr
    assert "neuroanp compare other.yaml; wait for it (--wait)" in done.stderr


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_ends_the_command_with_code_1(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neuroanp.comparing.schedulers.CONNECT_S", 1)
    done = invoke(*COMPARE, "--cluster", "tcp://127.0.0.1:9")
    assert done.exit_code == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9 within 1 s" in done.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.mark.long
def test_runs_beyond_their_limit_are_listed_and_the_code_is_1(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    small = ["--task", "copy", "--set", "network.hidden=6", "--set", "training.controls=false", "--updates"]
    done = invoke("compare", *small, "1000000", "--seeds", "1", "--workers", "1", "--time-limit", "2 s", "--no-report")
    assert done.exit_code == 1
    assert "copy ideal anp seed 0: it took longer than --time-limit '2 s'" in " ".join(done.stderr.split())
    done = invoke("compare", *small, "2", "--seeds", "1", "--cluster", "local", "--workers", "1", "--no-report")
    assert done.exit_code == 0, done.stderr
