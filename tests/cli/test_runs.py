"""How train, resume, compare and report call the api, and what they print and end with."""

import json
from pathlib import Path

import pytest

from neuroanp.errors import DivergedError, InputError, RunError

SMALL = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 8}
rule: anp
optimizer: {name: sgd, lr: 1000, schedule: constant}
training: {updates: 200, batch: 4, controls: false}
"""


def only_call(api, name: str) -> tuple[tuple, dict]:
    (args, kwargs), *more = [(args, kwargs) for called, args, kwargs in api.calls if called == name]
    assert not more
    return args, kwargs


def test_train_hands_every_option_on(api, invoke) -> None:
    done = invoke(
        "train", "x.yaml", "--task", "copy", "--profile", "pcm", "--rule", "bptt", "--backend", "rate", "--seed", "3",
        "--updates", "7", "--write", "ideal", "--only", "read_noise,drift", "--without", "d2d", "--set", "rule.K=4",
        "--set", "task.length=2", "--runs", "here", "--force",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    args, kwargs = only_call(api, "train")
    assert args == (Path("x.yaml"),)
    assert kwargs["overrides"] == {
        "seed": 3, "training.updates": 7, "hardware.write": "ideal", "hardware.only": ["read_noise", "drift"],
        "hardware.without": ["d2d"], "rule.K": "4", "task.length": "2",
    }  # fmt: skip
    assert (kwargs["task"], kwargs["profile"], kwargs["rule"], kwargs["backend"]) == ("copy", "pcm", "bptt", "rate")
    assert (kwargs["runs"], kwargs["force"]) == (Path("here"), True)


def test_train_needs_no_config(api, invoke) -> None:
    assert invoke("train", "--task", "copy").exit_code == 0
    args, kwargs = only_call(api, "train")
    assert args == (None,)
    assert kwargs["overrides"] == {}


@pytest.mark.parametrize("words", [["train", "x.yaml"], ["resume", "runs/a"], ["compare", "x.yaml"]], ids=" ".join)
def test_json_is_one_object_and_nothing_else(api, invoke, words: list[str]) -> None:
    api.results[0]["test_loss"] = float("nan")
    done = invoke(*words, "--json")
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    (result,) = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))["results"]
    assert result == {**api.results[0], "test_loss": None}


@pytest.mark.parametrize("words", [["train", "x.yaml"], ["resume", "runs/a"], ["compare", "x.yaml"]], ids=" ".join)
def test_the_table_shows_result_controls_and_report(api, invoke, words: list[str]) -> None:
    done = invoke(*words)
    assert done.exit_code == 0
    for word in ("pcm", "anp", "0.0123", "ridge", "frozen", "report:", "report.html"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_dry_run_trains_nothing(api, invoke) -> None:
    done = invoke("train", "x.yaml", "--dry-run", "--seed", "2")
    assert done.exit_code == 0
    assert [name for name, *_ in api.calls] == ["configure", "estimate"]
    assert "passes" in done.stdout
    (expected,) = json.loads(invoke("train", "x.yaml", "--dry-run", "--json").stdout)["results"]
    assert expected["passes"] == 20


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", 3), ("0,4,7", [0, 4, 7]), ("5, 6", [5, 6])], ids=["number", "list", "spaces"]
)
def test_compare_reads_lists(api, invoke, text: str, seeds) -> None:
    done = invoke("compare", "--task", "copy", "--profiles", "ideal,pcm", "--rules", "anp,bptt", "--seeds", text,
                  "--workers", "2")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    args, kwargs = only_call(api, "compare")
    assert args == (None,)
    assert (kwargs["profiles"], kwargs["rules"], kwargs["tasks"]) == (["ideal", "pcm"], ["anp", "bptt"], ["copy"])
    assert (kwargs["seeds"], kwargs["workers"]) == (seeds, 2)


def test_compare_leaves_what_is_not_said_to_the_api(api, invoke) -> None:
    assert invoke("compare", "x.yaml").exit_code == 0
    _, kwargs = only_call(api, "compare")
    assert {"profiles", "rules", "tasks", "backends", "seeds", "controls"}.isdisjoint(kwargs)


def test_compare_hands_on_when_controls_are_computed(api, invoke) -> None:
    assert invoke("compare", "x.yaml", "--controls", "last").exit_code == 0
    assert only_call(api, "compare")[1]["controls"] == "last"


@pytest.mark.parametrize(("text", "names"), [("spiking", ["spiking"]), ("rate, spiking", ["rate", "spiking"])])
def test_compare_reads_backends(api, invoke, text: str, names: list[str]) -> None:
    assert invoke("compare", "--task", "xor", "--backend", text).exit_code == 0
    _, kwargs = only_call(api, "compare")
    assert kwargs["backends"] == names
    assert "backend" not in kwargs["overrides"]


def test_json_and_table_tell_backends_apart(api, invoke) -> None:
    api.results = [
        {**api.results[0], "backend": name, "test_loss": loss} for name, loss in (("rate", 0.1), ("lif", 0.2))
    ]
    found = json.loads(invoke("compare", "x.yaml", "--json").stdout)["results"]
    assert [row["backend"] for row in found] == ["rate", "lif"]
    lines = invoke("compare", "x.yaml").stdout.splitlines()
    assert any(line.split()[:2] == ["backend", "profile"] for line in lines)
    cells = [line.split() for line in lines]
    assert [row[0] for row in cells if row[1:3] == ["pcm", "anp"]][:2] == ["rate", "lif"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--set", "rule.K"], "rule.K=4"),
        (["train", "--set", "=4"], "--set '=4'"),
        (["train", "--set", "a..b=4"], "--set 'a..b=4'"),
        (["train", "--only", "drift,,d2d"], "empty part"),
        (["compare", "--seeds", "0"], "--seeds"),
        (["compare", "--seeds", "-1"], "--seeds"),
        (["compare", "--seeds", "two"], "--seeds"),
        (["compare", "--seeds", "1,,2"], "--seeds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unreadable_options_end_with_2(api, invoke, words: list[str], said: str) -> None:
    ended = invoke(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stdout == ""
    assert not api.calls


def test_all_bad_settings_are_said_at_once(api, invoke) -> None:
    said = invoke("train", "--set", "one", "--set", "rule.K=2", "--set", "two").stderr
    assert "'one'" in said
    assert "'two'" in said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("x.yaml has 1 problem", ["x.yaml:3: rule.k: unknown key"]), 2, "x.yaml:3: rule.k: unknown key"),
        (RunError("runs/a: the disk is full"), 1, "the disk is full"),
        (DivergedError("diverged at update 17"), 1, "update 17"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (PermissionError(13, "Permission denied", "runs"), 1, "runs: Permission denied"),
        (ZeroDivisionError("division by zero"), 1, "bug in neuroanp: ZeroDivisionError"),
        (
            MemoryError("Unable to allocate 75 GiB"),
            1,
            "out of memory (Unable to allocate 75 GiB); lower network.hidden",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
@pytest.mark.parametrize("words", [["train", "x.yaml"], ["resume", "runs/a"], ["compare", "x.yaml", "--json"]])
def test_every_error_is_a_message_and_a_code(api, invoke, words, error, code: int, said: str) -> None:
    api.error = error
    ended = invoke(*words)
    assert ended.exit_code == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    with_trace = invoke(*words, "--debug")
    assert with_trace.exit_code == code
    assert "Traceback" in with_trace.stderr
    assert said in with_trace.stderr


def test_a_failed_run_of_a_comparison_is_named_and_ends_with_1(api, invoke) -> None:
    api.failed = [("copy pcm anp seed 1", "diverged at update 17")]
    ended = invoke("compare", "x.yaml")
    assert ended.exit_code == 1
    assert "copy pcm anp seed 1: diverged at update 17" in ended.stderr
    assert "report.html" in ended.stdout


def test_a_run_that_did_not_finish_ends_with_1(api, invoke) -> None:
    api.results[0]["status"] = "diverged"
    ended = invoke("resume", "runs/a", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["results"][0]["status"] == "diverged"


def test_a_diverged_run_is_shown_from_its_record(tmp_path, monkeypatch, invoke) -> None:
    """A real one: the command that diverges, the same again, and resume all print the record and end with 1."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    ended = invoke("train", "small.yaml", "--json")
    assert ended.exit_code == 1
    (row,) = json.loads(ended.stdout)["results"]
    assert (row["status"], row["test_loss"]) == ("diverged", None)
    assert ended.stderr.startswith("error: diverged at update")
    assert ended.stderr.count("\n") == 1
    written = Path(row["run"]) / "report.html"
    assert written.is_file()
    for words in (["train", "small.yaml"], ["resume", row["run"]]):
        again = invoke(*words, "--json")
        assert (again.exit_code, again.stdout, again.stderr) == (1, ended.stdout, ended.stderr)
        shown = invoke(*words)
        assert shown.exit_code == 1
        assert "1 diverged, of 1 runs" in " ".join(shown.stdout.split())
        assert f"report: {written}" in shown.stdout
        assert shown.stderr.splitlines()[-1] == ended.stderr.strip()


def test_the_record_s_notes_go_to_stderr_unless_quiet_is_asked_for(api, invoke) -> None:
    done = invoke("train", "x.yaml")
    assert done.stderr == "perturbation: [auto] Gaussian, sigma 0.01\n"
    assert invoke("train", "x.yaml", "--json").stderr == ""
    assert invoke("resume", "runs/a", "--no-progress").stderr == ""


def test_all_that_cannot_be_read_of_a_comparison_is_said_at_once(api, invoke) -> None:
    ended = invoke("compare", "--seeds", "two", "--set", "rule.K")
    assert ended.exit_code == 2
    assert "--seeds: 'two'" in ended.stderr
    assert "--set 'rule.K'" in ended.stderr


def test_compare_hands_empty_and_repeated_names_on_to_be_said_with_the_unknown_ones(api, invoke) -> None:
    invoke("compare", "--profiles", "pcm,,pcm")
    assert only_call(api, "compare")[1]["profiles"] == ["pcm", "", "pcm"]


def test_report_takes_runs_and_stores(api, invoke) -> None:
    done = invoke("report", "runs/a", "runs", "-o", "all.html")
    assert done.exit_code == 0
    assert only_call(api, "report")[0] == ([Path("runs/a"), Path("runs")], Path("all.html"))
    assert "report: all.html" in done.stdout


def test_brackets_in_messages_stay(api, invoke) -> None:
    api.error = InputError("x.yaml: [bold]not markup[/bold] [x]")
    assert "[bold]not markup[/bold] [x]" in invoke("train", "x.yaml").stderr
