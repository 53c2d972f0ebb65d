"""The loop of updates: how many there are, who is told, and when a stop takes effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from neuroanp.training import updates as module
from neuroanp.training.stopping import StopRequested
from neuroanp.training.trainer import Trainer
from neuroanp.training.updates import updates


@dataclass
class Steps:
    """What the loop asks of a trainer: it counts, and each step takes a second of the clock."""

    updates: int
    update: int = 0
    clock: list[float] = field(default_factory=lambda: [100.0])

    def step(self) -> dict[str, Any]:
        self.update += 1
        self.clock[0] += 1.0
        return {"update": self.update}

    def release(self) -> None:
        """Have no other processes to let go."""


def of(updates: int, update: int = 0) -> Trainer:
    return cast("Trainer", Steps(updates, update))


@pytest.fixture
def steps(monkeypatch) -> Trainer:
    made = Steps(10)
    monkeypatch.setattr(module.time, "perf_counter", lambda: made.clock[0])
    return cast("Trainer", made)


@pytest.mark.parametrize(("done", "left"), [(0, [1, 2, 3]), (2, [3]), (3, []), (4, [])])
def test_the_updates_that_are_left_are_done(done, left):
    trainer = of(3, done)
    assert [row["update"] for row in updates(trainer)] == left
    assert trainer.update == max(done, 3)


def test_an_update_is_done_when_its_row_is_asked_for():
    trainer = of(3)
    rows = updates(trainer)
    assert trainer.update == 0
    assert next(rows) == {"update": 1}
    assert trainer.update == 1


@pytest.mark.parametrize(
    ("every", "told"), [(0.0, list(range(1, 11))), (1.5, [2, 4, 6, 8, 10]), (2.0, [3, 6, 9]), (9.0, [10]), (99.0, [])]
)
def test_people_are_told_at_most_so_often(steps, every, told):
    heard: list[float] = []
    for row in updates(steps, lambda row: heard.append(row["update"]), every):
        assert heard[-1:] != [row["update"] + 1]
    assert heard == told


def test_a_stop_takes_effect_when_the_row_has_been_kept():
    """What is asked for while an update runs comes after its row: nothing of it is lost."""
    stop, kept = StopRequested(), []
    rows = updates(of(5), lambda row: stop._request(2, None) if row["update"] == 2 else None, stop=stop)

    def keep() -> None:
        for row in rows:
            kept.append(row["update"])

    with pytest.raises(KeyboardInterrupt):
        keep()
    assert kept == [1, 2]
    assert list(rows) == []
