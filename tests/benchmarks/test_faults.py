"""The fault trials call nothing well of which they have seen nothing; a few of each kind are made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.faults import common, damage, mutants
from benchmarks.faults.__main__ import KINDS
from benchmarks.faults.common import Ended
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.trees import Process, agent, driver, worker
from benchmarks.faults.watched import Seen, misdeed

ROOT = Path(__file__).parents[2]
RESULT = {"score": 0.25}
BASE: Any = SimpleNamespace(evaluated=[{"update": 8, **RESULT}, {"update": 24, **RESULT}], end={"result": RESULT})


def printed(rows: list[dict[str, Any]]) -> Ended:
    return Ended(0, json.dumps({"results": rows}) + "\n")


@pytest.mark.parametrize(
    ("action", "ended", "said"),
    [
        ("load", Ended(0, ""), "0 results where 1 are due"),
        ("evaluate", Ended(0, "warning: nothing to see"), "0 results where 2 are due"),
        ("evaluate", printed(BASE.evaluated[:1]), "1 results where 2 are due"),
        ("evaluate", printed([BASE.evaluated[0], {"score": 0.5}]), "score is 0.5, was 0.25, and nothing was said"),
        ("evaluate", printed(BASE.evaluated), None),
        ("load", printed([RESULT]), None),
        ("load", Ended(2, "error: damaged"), None),
    ],
)
def test_a_command_that_succeeds_gives_all_its_numbers(action: str, ended: Ended, said: str | None) -> None:
    found = damage.wrong(action, ended, Path("whole-1/run"), BASE, True, "")
    assert found == said if said is None else said in str(found)


@pytest.mark.parametrize(("done", "faults", "good"), [(3, [], True), (2, [], False), (3, ["trial 1"], False)])
def test_fewer_trials_than_asked_for_are_told(done: int, faults: list[str], good: bool) -> None:
    outcome = Outcome("kills", 3, done, faults)
    assert outcome.good == good
    assert outcome.cells()[1] == ("3" if done == 3 else "2 of 3")
    assert outcome.passed == done - len(faults)


def test_the_command_ends_with_1_if_a_trial_failed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from benchmarks.faults import __main__ as command

    for outcome, code in (
        (Outcome("x", 1, 1), 0),
        (Outcome("x", 1, 1, ["trial 0: it hung"]), 1),
        (Outcome("x", 2, 1), 1),
    ):
        monkeypatch.setitem(command.KINDS, "disks", lambda budget, outcome=outcome: [outcome])
        assert command.main(["disks"]) == code
        assert ("it hung" in capsys.readouterr().out) == bool(outcome.faults)


def seen(code: int | None = 0, output: bytes = b"", cpu_s: float = 1.0, peak: int = 2**28) -> Seen:
    return Seen(code, output, 1.0, cpu_s, peak)


@pytest.mark.parametrize(
    ("ended", "fine", "said"),
    [
        (seen(2, b"error: not a profile"), False, None), (seen(0, b"OK"), None, None), (seen(0, b"OK"), False, "taken"),
        (seen(2, b"error: x"), True, "refused"), (seen(1, b"error: x"), None, "exit code 1"),
        (seen(2, b""), False, "without a word"), (seen(None), None, "not through"),
        (seen(-11, b""), None, "exit code -11"), (seen(2, b"error: Traceback (most recent"), False, "Traceback"),
        (seen(2, b"error: this is a bug"), False, "this is a bug"), (seen(2, b"error: \x1b[2J"), False, "U+001B"),
        (seen(2, "error: \u202e".encode()), False, "U+202E"), (seen(0, cpu_s=11.0), None, "11.0 s"),
        (seen(0, peak=2**31), None, "2048 MB"),
    ],
)  # fmt: skip
def test_what_a_command_does_with_a_strangers_file_is_judged(ended: Seen, fine: bool | None, said: str | None) -> None:
    found = misdeed(ended, fine)
    assert found is None if said is None else said in str(found)


def test_a_child_is_watched(tmp_path: Path) -> None:
    """Its exit code, what it and its own children write, its time and memory; one that hangs is ended."""
    done = in_process(
        """
import subprocess, sys, time
from pathlib import Path
from benchmarks.faults.watched import watched
log = Path(sys.argv[1])
def loud():
    subprocess.run(["echo", "from below"]); print("from itself"); bytearray(200_000_000); sys.exit(3)
one = watched(loud, log)
assert (one.code, sorted(one.text.split("\\n"))) == (3, ["", "from below", "from itself"]), one
assert one.peak > 200_000_000
two = watched(lambda: subprocess.run(["sleep", "60"]), log, grace_s=0.5)
assert two.code is None and two.wall_s < 10, two
three = watched(lambda: 1 / 0, log)
assert three.code == 70 and "ZeroDivisionError" in three.text
print("held")
""",
        str(tmp_path / "log"),
    )
    assert done == "held\n"


def in_process(code: str, *words: str) -> str:
    """Run code in a process of its own: the trials fork, which this one, with its threads, may not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trials(*words: str) -> str:
    return in_process("import sys; from benchmarks.faults.__main__ import main; sys.exit(main(sys.argv[1:]))", *words)


def test_victims_are_chosen_by_their_place_in_the_tree() -> None:
    import random

    tree = [
        Process(1, 0, "neuroanp compare"), Process(2, 1, "python agent"), Process(3, 2, "python worker"),
        Process(4, 2, "python worker"), Process(5, 1, "python -c from multiprocessing.resource_tracker import main"),
    ]  # fmt: skip
    rng = random.Random(0)
    assert driver(tree, rng) == tree[0]
    assert {worker(tree, rng).pid for _ in range(50)} == {3, 4}
    assert agent(tree, rng) == tree[1]
    assert worker(tree[:1], rng) is None
    assert driver([], rng) is None


def test_mutants_and_hostile_files_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    import random

    source = mutants.sources()[0]
    assert mutants.mutant(source, random.Random("0 1")) == mutants.mutant(source, random.Random("0 1"))
    assert len({mutants.mutant(source, random.Random(f"0 {n}")) for n in range(30)}) > 25


@pytest.mark.long
def test_a_few_trials_of_each_kind_that_forks() -> None:
    found = trials("kills", "disks", "torn", "--quick", "--trials", "1", "--seed", "7")
    assert found.count("| 1      | 1      | -") == 3, found


@pytest.mark.long
def test_a_few_hostile_files_and_mutants() -> None:
    found = trials("hostile", "mutants", "--trials", "6", "--seed", "7")
    assert found.count("| 6      | 6      | -") == 2, found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hostile", "--of", "nirr"], "no hostile files of kind nirr; there are: "),
        (["hostile", "--of", "nir", "--write"], "the table is of all trials; leave --of and --quick out"),
        (["limits", "--quick"], "start commands as processes"), (["hostile", "--trials", "0"], "one at least"),
    ],
)  # fmt: skip
def test_trials_that_are_none_are_refused(words: list[str], said: str, capsys) -> None:
    from benchmarks.faults.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_library_that_moves_no_clock_is_told(tmp_path: Path) -> None:
    from benchmarks.faults import clocks

    clocks.check(clocks.shim(tmp_path))
    with pytest.raises(SystemExit, match="moves no clock here"):
        clocks.check(tmp_path / "none.so")


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", [pytest.param("limits", marks=pytest.mark.long), pytest.param("clocks", marks=pytest.mark.long), "damage"]
)
def test_a_few_trials_of_commands(kind: str) -> None:
    trials(kind, "--trials", "2", "--seed", "7")


@pytest.mark.long
@pytest.mark.parametrize(
    "label", [pytest.param("the driver of `neuroanp compare --cluster", marks=pytest.mark.long), "the leader of"]
)
def test_a_kill_of_a_command_and_what_it_started(label: str) -> None:
    """A sweep on Dask, and the first of two processes that share a run; other victims are the long tier's."""
    done = in_process(
        """
import sys
from benchmarks.faults import kills
from benchmarks.faults.outcome import Budget
kills.load_all()
(one,) = [one for one in (*kills.CLUSTERS, *kills.SHARED_RUNS) if sys.argv[1] in one.label and not one.by_hand]
outcome = kills._command(one, Budget(1, 7))
assert outcome.good and outcome.passed == 1, outcome
print("held")
""",
        label,
    )
    assert done == "held\n"


@pytest.mark.long
@pytest.mark.parametrize("kind", list(KINDS))
def test_as_many_trials_as_the_table_quotes(kind: str) -> None:
    trials(kind, "--seed", "11")


def test_a_run_to_compare_with_must_have_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "run").mkdir(parents=True)
    for code in (1, None):
        monkeypatch.setattr(common, "in_child", lambda work, log, code=code: Ended(code, "the disk is full"))
        with pytest.raises(SystemExit, match=f"undisturbed it ended with {code}: the disk is full"):
            common.undisturbed(common.SETUPS[0], tmp_path / "root", tmp_path / "log")


def test_a_difference_and_damage_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "final", lambda path: {"losses": [1.0]})
    assert common.differs("trial 1", tmp_path, {"losses": [1.0]}) is None
    assert common.differs("trial 1", tmp_path, {"losses": [2.0]}) == "trial 1: differs in losses"
    (tmp_path / "damaged").mkdir()
    assert common.differs("trial 1", tmp_path, {"losses": [1.0]}) == "trial 1: it tells of damage that nobody did"
