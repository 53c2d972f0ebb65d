"""What is registered in a process reaches its workers, or keeps its runs at home; either way the runs are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroanp.comparing import needs
from neuroanp.comparing.needs import Needs, Thing, Unable, needs_of
from neuroanp.comparing.pool import planned, run_all
from neuroanp.comparing.worker import Job
from neuroanp.errors import HeldError, StoppedError
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure

TASK = """
import numpy as np
from pydantic import BaseModel, ConfigDict

import neuroanp as na
from neuroanp.losses import SQUARED_ERROR
from neuroanp.tasks.protocol import TASKS, Batch

print("loaded as", __name__, flush=True)
SERIES = np.cumsum(np.random.default_rng({seed}).standard_normal((200, 1)), 0)


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = 5


@TASKS.register("mine")
class Mine:
    "My series."
    config = Options
    name, inputs, outputs, forecast, loss = "mine", 1, 1, True, SQUARED_ERROR

    def __init__(self, options):
        self.options, self.steps = options, options.steps

    def _at(self, starts):
        cut = [np.stack([SERIES[k + ahead : k + ahead + self.steps] for k in starts], 1) for ahead in (0, 1)]
        return Batch(*cut, np.ones(self.steps))

    def sample(self, rng, batch):
        return self._at(rng.integers(0, 100, batch))

    def test(self, rng):
        return self._at(range(120, 160, 5))

    def score(self, y, batch):
        return {{"rmse": float(np.sqrt(((y - batch.targets) ** 2).mean()))}}

    def persistence(self, batch):
        return batch.inputs

    def fingerprint(self):
        return ""

    def account(self):
        return ()

    table = None
"""
RUN = """
SMALL = {"network.hidden": 6, "training.updates": 3, "training.batch": 2, "training.controls": False}
many = na.compare({"task": "mine"}, seeds=2, overrides=SMALL, workers=2, runs="many")
alone = na.train({"task": "mine"}, overrides=SMALL, seed=1, runs="alone")
print("same", many.failed, many.results[1]["test_loss"] == alone.result["test_loss"])
"""
GUARDED = 'if __name__ == "__main__":' + RUN.replace("\n", "\n    ")
STAYS = "runs go one after another in this process: "


def ran(folder: Path, words: list[str], text: str = "") -> tuple[list[str], str]:
    """Run a Python program; return the lines it printed, and what went to stderr."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


@pytest.mark.long
def test_a_script_without_a_guard_trains_once(tmp_path):
    """Its workers do not run it again; its own task stays in it, which is said."""
    (tmp_path / "script.py").write_text(TASK.format(seed=0) + RUN)
    said, stderr = ran(tmp_path, ["script.py"])
    assert said == ["loaded as __main__", "same [] True"]
    assert stderr.count(STAYS) == 1
    assert "'mine' is registered in" in stderr
    assert "does not call this below `if __name__ == '__main__':`" in stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "how", ["console", "named", *(pytest.param(how, marks=pytest.mark.long) for how in ("module", "unseeded"))]
)
def test_wherever_a_task_is_registered_its_runs_are_those_of_train(how, tmp_path):
    task = TASK.format(seed="" if how == "unseeded" else 0)
    (tmp_path / "own.py").write_text(task + (GUARDED if how in ("named", "unseeded") else ""))
    if how == "console":
        said, stderr = ran(tmp_path, ["-"], task + RUN)
    elif how == "module":
        (tmp_path / "script.py").write_text("import own\nimport neuroanp as na\n" + RUN)
        said, stderr = ran(tmp_path, ["script.py"])
    else:
        said, stderr = ran(tmp_path, ["-m", "own"] if how == "named" else ["own.py"])
    assert said[-1] == "same [] True"
    reason = {"console": "'mine' is registered in a notebook or a console", "unseeded": "give them a fixed seed"}
    assert (STAYS in stderr) == (how in reason), stderr
    assert reason.get(how, "") in stderr
    workers = {"named": "loaded as __mp_main__", "module": "loaded as own"}
    assert workers.get(how, "") in stderr


class Options(CopyConfig):
    """Of a task of one's own."""


class Mine(Copy):
    """A task that can be imported from here."""

    config = Options


class Local(Mine):
    """A task that nothing can import."""


Local.__qualname__ = "made.<locals>.Local"


@pytest.fixture
def own_task(monkeypatch):
    """Register a task as "mine", for the test alone; return a run of it."""

    def register(thing: Any) -> Experiment:
        monkeypatch.setattr(TASKS, "_registered", {"mine": thing})
        training = {"updates": 2, "batch": 2, "controls": False}
        return Experiment.of(configure({"task": "mine", "network": {"hidden": 4}, "training": training}))

    return register


def test_what_no_name_of_a_run_asks_for_is_not_needed(own_task):
    own_task(Mine)
    assert needs_of(Experiment.of(configure({"task": "copy"}))) == Needs()


def test_a_class_of_a_module_is_imported_from_there(own_task):
    experiment = own_task(Mine)
    found = needs_of(experiment)
    assert found.things == (Thing("neuroanp.tasks", "mine", __name__, "Mine"),)
    assert found.script is None
    found.bring()  # it is there already: nothing happens
    found.check(experiment)


def test_other_data_in_the_worker_are_noticed(own_task):
    experiment = own_task(Mine)
    with pytest.raises(Unable, match="'mine' has other data in another process"):
        replace(needs_of(experiment), data="another").check(experiment)


def test_what_is_not_where_it_was_is_noticed():
    with pytest.raises(Unable, match=r"'x' cannot be imported from os in another process \(AttributeError"):
        Needs((Thing("neuroanp.tasks", "x", "os", "Nothing"),)).bring()


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if __name__ == '__main__':\n    a()\n    b()\n", [range(2, 4)]),
        ("if '__main__' == __name__: a()\n", [range(1, 2)]),
        ("if __name__ != '__main__':\n    a()\n", []),
        ("if name == '__main__':\n    a()\n", []),
        ("def f():\n    if __name__ == '__main__':\n        a()\n", []),
    ],
)
def test_what_stands_below_a_guard(source, lines):
    assert needs._guards(source) == lines


def here(own_task, tmp_path: Path) -> Job:
    return Job(own_task(Local).config, tmp_path, False, ())


def test_runs_at_home_are_told_once_and_report_as_others_do(own_task, tmp_path, caplog):
    wanted = here(own_task, tmp_path)
    jobs = [wanted, replace(wanted, config=wanted.config.model_copy(update={"seed": 1}))]
    assert [plan.needs for plan in planned(jobs)] == [
        "'mine' is registered in tests.comparing.test_needs, and no module has it under that name"
    ] * 2
    events: list[dict[str, Any]] = []
    outcomes = run_all(jobs, 2, events.append)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [event["phase"] for event in events].count("done") == 2
    assert sum(STAYS in message for message in caplog.messages) == 1


def test_a_stop_at_home_ends_the_comparison(own_task, tmp_path, monkeypatch):
    def stopped(*args: Any, **kwargs: Any) -> None:
        raise StoppedError("interrupted at update 1 of 2")

    monkeypatch.setattr("neuroanp.comparing.worker.launch", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_all([here(own_task, tmp_path)], 1, lambda event: None)


def test_a_run_at_home_waits_for_who_holds_it(own_task, tmp_path, monkeypatch, caplog):
    from neuroanp.comparing import worker

    launch, asked = worker.launch, []

    def held(*args: Any, **kwargs: Any) -> Any:
        asked.append(1)
        if len(asked) < 3:
            raise HeldError("runs/a: in use by process 1 on b; wait for it")
        return launch(*args, **kwargs)

    monkeypatch.setattr(worker, "launch", held)
    monkeypatch.setattr("neuroanp.comparing.desk.POLL_S", 0.0)
    caplog.set_level("INFO")
    (outcome,) = run_all([here(own_task, tmp_path)], 1, lambda event: None)
    assert outcome.error is None
    assert sum("in use by process 1 on b; waiting for it" in message for message in caplog.messages) == 1


def test_a_script_that_cannot_be_run_again_is_not_run_for_each_job(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\nraise ValueError('no')\n")
    wanted = Needs((), ("path", str(script)), ("fails.py",))
    before = list(sys.argv)
    try:
        for _ in range(3):
            with pytest.raises(Unable, match=r"fails.py cannot be run again in another process \(ValueError: no\)"):
                wanted.bring()
    finally:
        sys.argv[:] = before
    assert (tmp_path / "ran").read_text() == "x"
