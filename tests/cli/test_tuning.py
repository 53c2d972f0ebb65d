"""compare --axis, --for and --tune from the command line: what is handed on, printed, and said of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.comparing import pool
from neuroanp.comparing.worker import work

TINY = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 6}
optimizer: {name: sgd, schedule: constant}
training: {updates: 3, batch: 2, controls: false}
"""
TUNE = ["--tune", "optimizer.lr=1e-3..1e-1:log,3", "--tune-seeds", "100,101"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file to train from, in a directory of its own; comparisons run in this process."""

    def run_all(jobs, workers, progress, logged=None):
        return [work(job, lambda kind, content: None) for job in jobs]

    monkeypatch.setattr(pool, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def test_every_option_is_handed_on(api, invoke, monkeypatch):
    monkeypatch.setattr(api, "runs_of_comparison", lambda *args, **kwargs: 7, raising=False)
    done = invoke(
        "compare", "x.yaml", "--rules", "anp,bptt", "--axis", "network.hidden=5,6", "--axis", "training.batch = 2",
        "--for", "anp:optimizer.lr=2e-3", "--for", "anp, bptt:optimizer.clip=1", *TUNE,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    ((_, _, kwargs),) = [call for call in api.calls if call[0] == "compare"]
    assert kwargs["axes"] == {"network.hidden": "5,6", "training.batch": "2"}
    assert kwargs["for_rule"] == {"anp": {"optimizer.lr": 2e-3}, "anp, bptt": {"optimizer.clip": 1}}
    assert kwargs["tune"] == {"optimizer.lr": "1e-3..1e-1:log,3"}
    assert kwargs["tune_seeds"] == [100, 101]
    assert invoke("compare", "x.yaml").exit_code == 0
    assert {"axes", "for_rule", "tune", "tune_seeds"}.isdisjoint(api.calls[-1][2])


def test_a_single_tuning_seed_is_a_seed_and_no_number_of_seeds(api, invoke, monkeypatch):
    monkeypatch.setattr(api, "runs_of_comparison", lambda *args, **kwargs: 7, raising=False)
    assert invoke("compare", "x.yaml", "--tune", "rule.K=1,2", "--tune-seeds", "100").exit_code == 0
    assert api.calls[-1][2]["tune_seeds"] == [100]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--axis", "network.hidden"], "--axis 'network.hidden': not of the form a.b=v,w"),
        (["--axis", "=3"], "--axis '=3': not of the form a.b=v,w"),
        (["--axis", "network.hidden=1", "--axis", "network.hidden=2"], "--axis network.hidden: is given twice"),
        (["--axis", "network.hidden=0,5"], "--axis network.hidden=0: network.hidden: 0 must be at least 1"),
        (["--axis", "network.hiden=5"], "did you mean 'network.hidden'"),
        (["--axis", "network.hidden=200..100:lin,2"], "runs backwards; write 100..200:lin,2"),
        (["--for", "optimizer.lr=3"], "--for 'optimizer.lr=3': not of the form rule:a.b=c"),
        (["--for", "anp:optimizer.lr"], "not of the form rule:a.b=c"),
        (["--for", "anp:rule.K=1", "--for", "anp:rule.K=2"], "--for anp:rule.K: is given twice"),
        (["--for", "bptt:optimizer.lr=3"], "--for bptt: is not compared here"),
        (["--for", "anp:optimizer.lr=-3"], "--for anp:optimizer.lr=-3: optimizer.lr: -3 must be above 0"),
        (["--tune", "optimizer.lr=1e-1..1e-3:log,3", "--tune-seeds", "9"], "runs backwards; write 1e-3..1e-1:log,3"),
        (["--tune", "optimizer.lr=0..1e-3:log,3", "--tune-seeds", "9"], "has no logarithm at 0"),
        (["--tune", "optimizer.lr=1..2:log,0", "--tune-seeds", "9"], "has 0 values; a range has 2 to 1,000"),
        (["--tune", "optimizer.lr=1..2:log,9999999", "--tune-seeds", "9"], "has 9,999,999 values"),
        (["--tune", "optimizer.lr=1,2", "--tune-seeds", "0"], "--tune-seeds: 0 is reported too"),
        (["--tune", "optimizer.lr=1,2", "--tune-seeds", "a"], "--tune-seeds: 'a' is no list of seeds"),
        (["--tune", "optimizer.lr=1,2"], "--tune-seeds: no seeds to tune on"),
        (["--tune-seeds", "9"], "--tune-seeds: nothing is tuned"),
        (["--tune", "rule.K=1,2", "--tune-seeds", "9", "--rules", "anp,bptt"], "(rule 'bptt'; --for RULE:KEY=VALUE"),
        (["--tune", "optimizer.lr=1,2", "--tune-seeds", "9", "--set", "optimizer.lr=3"], "is set by --set"),
        (["--axis", "training.updates=1,2", "--updates", "3"], "is set by --set (or an option such as --updates)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_wrong_is_one_message_and_ends_with_2(config, invoke, words, said):
    ended = invoke("compare", config, *words)
    assert ended.exit_code == 2, ended.stdout
    assert said in ended.stderr
    assert ended.stderr.count("error:") == 1
    assert ended.stdout == ""
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


@pytest.mark.slow
def test_axes_are_rows_that_name_what_differs(config, invoke):
    words = ["compare", config, "--axis", "network.hidden=5,6", "--axis", "optimizer.lr=0.01,0.1", "--seeds", "2"]
    shown = invoke(*words)
    assert shown.exit_code == 0, shown.stderr
    for said in ("hidden 5", "hidden 6", "optimizer.lr 0.01", "optimizer.lr 0.1"):
        assert said in shown.stdout
    rows = json.loads(invoke(*words, "--json").stdout)["results"]
    assert len(rows) == 8
    assert {row["options"]["optimizer.lr"] for row in rows} == {"0.01", "0.1"}
    (folder,) = Path("runs").glob("compare-*")
    kept = json.loads((folder / "comparison.json").read_text())
    assert kept["axes"] == {"network.hidden": [5, 6], "optimizer.lr": [0.01, 0.1]}


@pytest.mark.slow
def test_what_was_tuned_is_in_the_table_and_in_json(config, invoke, monkeypatch):
    words = ["compare", config, "--rules", "anp,bptt", "--seeds", "2", *TUNE]
    found = json.loads(invoke(*words, "--json", "--no-report").stdout)
    assert len(found["results"]) == 4
    searches = {one["rule"]: one for one in found["tuning"]}
    for one in searches.values():
        assert one["grid"] == {"optimizer.lr": [0.001, 0.01, 0.1]}
        assert (one["seeds"], one["runs"], len(one["trials"])) == ([100, 101], 6, 6)
        assert all(trial["run"].startswith("tuning/") for trial in one["trials"])
        assert one["loss"] == min(one["medians"])
        chosen = one["chosen"]["optimizer.lr"]
        assert one["medians"][one["grid"]["optimizer.lr"].index(chosen)] == one["loss"]
        assert one["at_edge"] == ["optimizer.lr"] * (chosen != 0.01)
        assert {
            row["options"].get("optimizer.lr", str(chosen)) for row in found["results"] if row["rule"] == one["rule"]
        } == {str(chosen)}
    for columns in ("80", "140"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = invoke(*words)
        assert shown.exit_code == 0, shown.stderr
        assert "tuning: median validation loss by optimizer.lr" in shown.stdout
        assert "Tuned on seeds 100, 101" in shown.stdout
        lines = shown.stdout.splitlines()
        assert max(map(len, lines)) <= int(columns)
        table = lines[next(k for k, line in enumerate(lines) if line.startswith("tuning:")) :]
        rows = [line.split() for line in table]
        for rule, one in searches.items():
            row = next(cells for cells in rows if cells[:2] == ["ideal", rule])
            assert row[2] == f"{one['chosen']['optimizer.lr']:g}"
            assert row[-2:] == [str(one["runs"]), str(one["passes"])]
        edges = [rule for rule, one in searches.items() if one["at_edge"]]
        for rule in edges:
            assert f"ideal · {rule}: the best optimizer.lr" in " ".join(shown.stdout.split())


def test_a_rule_without_a_usable_setting_ends_with_1(config, invoke):
    ended = invoke(
        "compare", config, "--rules", "anp,bptt", "--for", "bptt:optimizer.clip=1e-6", "--updates", "200",
        "--no-report", "--tune", "optimizer.lr=900,1000", "--tune-seeds", "9",
    )  # fmt: skip
    assert ended.exit_code == 1
    assert "copy ideal anp: no setting that was tried is usable" in ended.stderr
    assert "nothing could be chosen" in ended.stdout.replace("\n  ", " ")
    assert "bptt" in ended.stdout


def test_help_has_examples_of_each(invoke):
    said = " ".join(invoke("compare", "--help").stdout.split())
    for part in ("--axis network.hidden=50,100,200", "--for anp:optimizer.lr=2e-3", "--tune-seeds 100,101"):
        assert part in said
