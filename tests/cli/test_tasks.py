"""Tasks from the command line: listed, planned and trained by their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.close import close
from tests.tasks.idx_files import idx_bytes, random_set, write_set

SET = ("--set", "network.hidden=4", "--set", "training.batch=2")
NOISY = [f"task.{key}={value}" for key, value in (
    ("start", 0), ("pulse", 2), ("gap", 2), ("jitter", 3), ("delay", 4), ("window", 3), ("cue", True), ("noise", 0.2),
)]  # fmt: skip
WORDS = {
    "parity": [], "adding": [], "lorenz": ["task.train_length=500", "task.test_size=4"],
    "digits": ["task.mode=pixels", "task.permute=1"], "xor": NOISY, "mnist": ["task.path=digits", "task.test_size=9"],
    "copy": ["task.length=100", "task.delay=10", "task.mode=fixed", "task.fresh_test=true", "task.test_size=4"],
}  # fmt: skip
STEPS = {"parity": 24, "adding": 20, "lorenz": 60, "digits": 64, "xor": 16, "mnist": 16, "copy": 210}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "digits", random_set(), packed=True)
    return tmp_path


@pytest.mark.parametrize("name", WORDS)
def test_a_run_is_planned(invoke, here, name):
    words = [word for one in WORDS[name] for word in ("--set", one)]
    done = invoke("train", "--task", name, *words, *SET, "--updates", "50", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    (plan,) = json.loads(done.stdout)["results"]
    assert plan["passes"] == 100
    assert plan["chip_time_s"] == close(100 * 2 * STEPS[name] * 1e-6)
    assert sorted(path.name for path in here.iterdir()) == ["digits"]


def test_tasks_are_listed_with_their_options(invoke):
    listed = {row["name"]: row for row in json.loads(invoke("tasks", "list", "--json").stdout)["results"]}
    assert listed.keys() >= {
        "adding", "addition", "copy", "delayed_match", "digits", "lorenz", "mackey_glass", "mnist", "parity", "reverse",
        "sine", "sort", "weather", "xor",
    }  # fmt: skip
    options = {name: {option["option"] for option in row["options"]} for name, row in listed.items()}
    assert options["mnist"] == {"loss", "path", "permute", "pool", "window", "test_size", "mode", "steps"}
    assert options["parity"] == {"loss", "length", "window", "delay", "hold", "test_size"}
    assert options["xor"] >= {"noise", "jitter"}


BAD = {
    "the product lies nowhere": (["parity", "task.length=4"], "window + delay must be at most length"),
    "no steps": (["adding", "task.length=0"], "task.length"),
    "no files": (["mnist"], "set task.path to the folder with them"),
    "another folder": (["mnist", "task.path=nowhere"], "nowhere: no such file or folder"),
    "a file that is cut off": (["mnist", "task.path=cut", "task.test_size=9"], "and it has fewer; get it again"),
    "a seed that is none": (["mnist", "task.path=digits", "task.permute=-3"], "task.permute"),
    "two modes at once": (["digits", "task.permute=1"], "permute goes with modes rows and pixels"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_message_and_leaves_nothing_behind(invoke, here, words, said):
    arrays = random_set()
    write_set(here / "cut", arrays)
    name = "train-images-idx3-ubyte"
    (here / "cut" / name).write_bytes(idx_bytes(arrays[name])[:-1])
    task, *more = words
    done = invoke("train", "--task", task, *(word for one in more for word in ("--set", one)), *SET)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in here.iterdir()) == ["cut", "digits"]
