"""diagnose: the terminal, narrow and wide, its files, JSON, and what is refused before anything is drawn."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroanp.cli.main import app
from tests.close import close

CONFIG = """
task: {name: copy, length: 2, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 5}
rule: anp
training: {updates: 6, batch: 3, checkpoint_every: 3, controls: false}
"""
FEW = ("--draws", "8", "--no-progress")
WRITTEN = ["diagnosis.csv", "diagnosis.json", "diagnosis.png", "diagnosis.svg"]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run the command in a folder with a configuration: call("c.yaml", "--K", "2", columns=60) -> result."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)

    def run(*words: str, columns: int = 120, command: str = "diagnose"):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, [command, *words])

    return run


def test_a_table_is_printed_and_the_files_lie_where_it_is_said(call) -> None:
    shown = call("c.yaml", "--K", "1,2", *FEW)
    assert shown.exit_code == 0, shown.output
    head, *_ = shown.stdout.splitlines()
    assert head.rstrip() == "copy  anp on ideal, seed 0, update 0, sigma 0.01, batch 3"
    for word in ("one update", "mean update", "scale", "bias", "variance", "SNR", "w_in", "w_out"):
        assert word in shown.stdout, word
    said = " ".join(shown.stdout.split())
    assert "Held to the exact gradient g of the same batch" in said
    assert "Update 0, 2 passes, all arrays: what leads a single update astray is mostly variance" in said
    assert shown.stdout.splitlines()[-1] == "written: diagnosis-copy-ideal-anp-s0 (diagnosis.csv, .json, .png, .svg)"
    assert sorted(os.listdir()) == ["c.yaml", "diagnosis-copy-ideal-anp-s0"]
    assert sorted(os.listdir("diagnosis-copy-ideal-anp-s0")) == WRITTEN
    assert "perturbation: Gaussian, sigma 0.01" not in shown.stderr  # --no-progress


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 60, 80, 100, 160])
def test_lines_fit_the_terminal(call, columns: int) -> None:
    shown = call("c.yaml", "--K", "1,2", "--at", "0,3", *FEW, columns=columns)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()[:-1]  # the last one names a folder, whole
    assert max(map(len, lines)) <= columns
    assert "…" not in shown.stdout
    for word in ("scale", "bias", "SNR", "w_out"):
        assert word in shown.stdout, word


def test_json_csv_and_file_say_the_same(call) -> None:
    done = call("c.yaml", "--K", "2", "--rule", "bptt1", "-o", "out", *FEW)
    assert done.exit_code == 2  # a baseline has no replicas
    done = call("c.yaml", "--rule", "bptt1", "--at", "0,50%,6", "-o", "out", "--json", *FEW)
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    assert (result["task"], result["rule"], result["gradient"], result["output"]) == ("copy", "bptt1", "exact", "out")
    assert {key: value for key, value in result.items() if key != "output"} == json.loads(
        Path("out/diagnosis.json").read_text()
    )
    rows = result["rows"]
    assert [row["update"] for row in rows[::4]] == [0, 3, 6]
    with Path("out/diagnosis.csv").open() as file:
        table = [*csv.DictReader(file)]
    assert [*table[0]] == [*rows[0]]
    for one, other in zip(rows, table, strict=True):
        assert (other["array"], other["K"], other["signal_to_noise"]) == (one["array"], "", "")  # no K, no noise
        assert float(other["scale"]) == close(one["scale"])
        assert float(other["mean_cosine_low"]) == close(one["mean_cosine_low"])
        assert (other["bias"] == "") == (one["bias"] is None) == (one["array"] == "w_out")


def test_the_same_command_gives_the_same_files_and_leaves_others_alone(call) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("kept")
    found = []
    for seed in ("0", "0", "1"):
        assert call("c.yaml", "--K", "1", "--seed", seed, "-o", "out", *FEW).exit_code == 0
        found.append([Path("out", name).read_bytes() for name in WRITTEN])
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))
    assert Path("out/mine.txt").read_text() == "kept"


def test_a_run_is_found_by_the_beginning_of_its_name(call) -> None:
    made = call("c.yaml", "--no-progress", "--no-report", command="train")
    assert made.exit_code == 0, made.output
    (name,) = os.listdir("runs")
    shown = call("runs/copy", "--K", "1", *FEW)
    assert shown.exit_code == 0, shown.output
    assert "update 6" in shown.stdout.splitlines()[0]
    assert shown.stdout.splitlines()[-1].startswith(f"written: diagnosis-{name} (")
    at = call("copy", "--K", "1", "--at", "0.5,100%", *FEW, "--json")
    assert [row["update"] for row in json.loads(at.stdout)["results"][0]["rows"]] == [3] * 4 + [6] * 4


def test_what_is_not_resolved_is_told(call) -> None:
    """Of node perturbation no bias is resolved; of 8 updates the mean of one pair may not be known up to its sign."""
    shown = call("c.yaml", "--rule", "np", "--K", "64", "--draws", "40", "--no-progress")
    said = " ".join(shown.stdout.split())
    assert "< 0." in said
    assert "Bias < x: not resolved, its interval holds 0; it is below x." in said
    wide = call("c.yaml", "--rule", "np", "--K", "1", "--most", "8", "--no-progress")
    assert "4 of 4 angles of the mean update are known less well than +- 0.05 (cosine, sine) after 8 draws" in " ".join(
        wide.stdout.split()
    )


def test_nothing_that_perturbs_is_told(call) -> None:
    shown = call("c.yaml", "--set", "perturbation=none", "--K", "1", "--draws", "4")
    assert shown.exit_code == 0, shown.output
    assert "nothing perturbs the units" in shown.stderr
    assert "all, w_in, w, w_out: nothing to compare, the updates are all zero." in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["c.yaml", "--at", "7"], "at: 7 is no update of a training of 6; name whole numbers from 0 to 6"),
        (["c.yaml", "--at", "1.5"], "--at: '1.5' is neither an update nor a share of the training"),
        (["c.yaml", "--at", "-1"], "--at: '-1' is neither"),
        (["c.yaml", "--at", "101%"], "--at: '101%' is neither"),
        (["c.yaml", "--at", "0,,3"], "has an empty part"),
        (["c.yaml", "--K", "0"], "--K: '0' is not a whole number of at least 1"),
        (["c.yaml", "--K", "4097"], "--K 4097: rule.K: 4097 must be at most 4096"),
        (["c.yaml", "--K", "1,2,1"], "names something twice"),
        (["c.yaml", "--K", "1,01"], "--K: a number is in it twice"),
        (["c.yaml", "--rule", "bptt", "--K", "2"], "rule 'bptt' has no option K, and one number of passes, 1"),
        (["c.yaml", "--sigma", "0"], "--sigma: '0' is no standard deviation above 0"),
        (["c.yaml", "--sigma", "nan"], "--sigma: 'nan' is no standard deviation above 0"),
        (["c.yaml", "--sigma", "11"], "--sigma 11.0: perturbation.sigma: 11.0 must be at most 10"),
        (["c.yaml", "--sigma", "0.1", "--profile", "pcm"], "perturbed by profile 'pcm' itself"),
        (["c.yaml", "--sigma", "0.1", "--set", "perturbation=none"], "no Gaussian is added"),
        (["c.yaml", "--draws", "3"], "draws: 3 updates; draw from 4"),
        (["c.yaml", "--draws", "9", "--most", "99"], "draws, most: so many draws are made"),
        (["c.yaml", "--profile", "pcm", "--rule", "np"], "np must know the noise"),
        (["c.yaml", "--rule", "apn"], "unknown rule 'apn'"),
        (["missing.yaml"], "missing.yaml: no such file"),
        (["text.txt"], "text.txt:1: the file is not a mapping"),
        (["."], "not a run directory"),
        ([], "no task; name one with --task"),
        (["c.yaml", "-o", "text.txt"], "text.txt: is no folder; name another one with -o"),
        (["c.yaml", "-o", "missing/out"], "missing/out: missing does not exist; make it"),
        (["c.yaml", "-o", "text.txt/out"], "text.txt/out: text.txt is no folder; make it"),
    ],
)
def test_bad_input_ends_with_code_2_before_anything_is_drawn_or_written(
    call, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    def never(*args, **kwargs):
        raise AssertionError("drawn in spite of bad input")

    monkeypatch.setattr("neuroanp.diagnosing.diagnosis.held_to_gradient", never)
    Path("text.txt").write_text("hello")
    ended = call(*words)
    assert ended.exit_code == 2, ended.output
    assert says in " ".join(ended.stderr.split())
    assert ended.stderr.count("error:") == 1
    assert ended.stdout == ""
    assert sorted(os.listdir()) == ["c.yaml", "text.txt"]


def test_neurons_by_equations_have_no_gradient(call) -> None:
    ended = call(str(Path(__file__).parents[2] / "examples" / "adex.yaml"))
    assert ended.exit_code == 2, ended.output
    assert "no twin of its units (Equations) that can be differentiated" in " ".join(ended.stderr.split())
    assert os.listdir() == ["c.yaml"]
