"""A chip that lives on: its times, what the same chip does alone, what relearning takes and gives, what is refused."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from neuroanp import api
from neuroanp.errors import DivergedError, InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.living import Care, _kept, live_on, times
from neuroanp.training.revisit import looked_at
from tests.close import close

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 32},
    "network": {"hidden": 12},
    "profile": "pcm",
    "optimizer": {"lr": 0.01},
    "training": {"updates": 150, "batch": 8, "controls": False},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> RunDir:
    return launch(configure(TINY), tmp_path_factory.mktemp("runs"))


def test_times_grow_from_an_hour_to_the_end():
    found = times(Care("30 d"))
    assert found[0] == 3600.0
    assert found[-1] == 30 * 86_400.0
    steps = [b / a for a, b in pairwise(found)]
    assert steps == close([steps[0]] * len(steps))
    assert 1.0 < steps[0] <= 4.0
    assert times(Care("10 min")) == [600.0]
    assert times(Care("3 d", every="1 d")) == close([86_400.0, 172_800.0, 259_200.0])


def test_a_chip_left_alone_is_as_it_is_evaluated_after_idle_time(trained):
    rows = live_on(trained, Care("16 h", updates=2))
    assert [row["after"] for row in rows] == ["at once", "1 h", "4 h", "16 h"]
    seen = api.evaluate(trained.path, after=["1 h", "4 h", "16 h"])
    assert [row["unattended"] for row in rows] == [row["test_loss"] for row in seen]
    assert rows[1]["before"] == rows[1]["unattended"]  # until it learns it is the same chip
    assert rows[0]["test_loss"] == (trained.result or {})["test_loss"]


def test_the_run_is_left_as_it_is_and_the_same_is_found_again(trained):
    before = {path: path.read_bytes() for path in trained.path.rglob("*") if path.is_file()}
    care = Care("1 d", every="12 h", updates=3)
    assert live_on(trained, care) == live_on(trained, care)
    assert {path: path.read_bytes() for path in trained.path.rglob("*") if path.is_file()} == before


def test_relearning_repairs_what_time_did(trained):
    """Drift makes a copy of one symbol several times worse; updates in place take most of it away again."""
    (first, _, last) = live_on(trained, Care("30 d", every="15 d", updates=150))
    assert last["unattended"] > 3 * first["test_loss"]
    assert last["test_loss"] < 0.5 * last["unattended"]
    assert last["test_loss"] < last["before"]


def test_what_relearning_takes_is_booked(trained):
    """As many passes as training: 150 updates cost about what 150 of them did there."""
    rows = live_on(trained, Care("1 h", updates=150))
    books = trained.manifest["ledger"]
    assert rows[0]["energy_J"] == rows[0]["pulses"] == 0
    reads = books["per_update"]["energy_J"] * 150
    assert rows[1]["energy_J"] == close(reads, rel=0.5)
    assert rows[1]["chip_time_s"] < 1.0  # of relearning alone, not of the hour
    assert rows[1]["pulses"] > 0
    assert rows[1]["wear_fraction"] > rows[0]["wear_fraction"]
    twice = live_on(trained, Care("1 h", updates=300))
    assert twice[1]["energy_J"] > 1.5 * rows[1]["energy_J"]


def test_another_rule_and_rate_may_relearn(trained):
    rows = live_on(trained, Care("1 h", updates=5, lr=0.02, rule="wp"))
    assert {(row["rule"], row["lr"]) for row in rows} == {("wp", 0.02)}
    own = live_on(trained, Care("1 h", updates=5, lr=0.02))
    assert own[1]["test_loss"] != rows[1]["test_loss"]
    assert own[0]["rule"] == "anp"


def test_a_chip_that_does_not_change_says_so(tmp_path, caplog):
    run = launch(configure({**TINY, "profile": "ideal"}, {"training.updates": 2}), tmp_path)
    with caplog.at_level(logging.WARNING, "neuroanp"):
        rows = live_on(run, Care("1 d", every="1 d", updates=1))
    assert rows[1]["unattended"] == rows[0]["test_loss"]
    assert any("--for" in line and "ideal" in line for line in caplog.messages)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"duration": "30"}, "'30' has no unit"),
        ({"duration": "30 V"}, "--for: '30 V' is not a time"),
        ({"duration": "30 d", "every": "1 ms"}, "relearn less often"),
        ({"relearn": 0}, "relearn: 0"),
        ({"lr": 0.0}, "lr: 0.0 is not above 0"),
        ({"rule": "anpp"}, "--rule: unknown rule 'anpp'; did you mean 'anp'"),
        ({"rule": "sampled"}, "cannot learn in place"),
        ({"duration": ["1 h", "30 d"]}, "is not one time"),
    ],
)
def test_what_cannot_be_is_said(trained, words, says):
    with pytest.raises(InputError) as error:
        api.live(trained.path, **words)
    assert says in " ".join([error.value.message, *error.value.problems])


def test_a_world_is_refused(tmp_path):
    config = configure({"task": {"name": "reaching"}, "rule": "nrl", "training": {"updates": 1, "batch": 2}})
    with pytest.raises(InputError, match="is a world; live is for tasks with targets"):
        live_on(launch(config, tmp_path), Care("1 d"))


def test_the_run_s_own_rule_goes_on_where_training_ended(tmp_path):
    """On exact arrays nothing drifts: its first update is like training's last ones, not an optimizer's first."""
    source = {**TINY, "profile": "ideal", "optimizer": {"lr": 0.01, "schedule": "cosine"}}
    run = launch(configure(source, {"training.updates": 400}), tmp_path)
    (_, own) = live_on(run, Care("1 h", updates=1, lr=1e-3))
    (_, other) = live_on(run, Care("1 h", updates=1, lr=1e-3, rule="echo"))
    as_it_ended = own["before"]
    assert abs(own["test_loss"] - as_it_ended) < abs(other["test_loss"] - as_it_ended)


def test_a_rule_that_decorrelates_otherwise_is_refused(tmp_path):
    run = launch(configure(TINY, {"rule.decorrelation": {"lr": 0.01}, "training.updates": 2}), tmp_path)
    with pytest.raises(InputError, match="decorrelates other layers than the run did"):
        live_on(run, Care("1 h", updates=1, rule="echo"))


def test_times_too_short_for_relearning_are_told(trained, caplog):
    with caplog.at_level(logging.WARNING, "neuroanp"):
        live_on(trained, Care("30 us", every="10 us", updates=5))
    assert any("relearning takes longer than there is" in line for line in caplog.messages)


def test_a_loss_that_explodes_is_measured_by_the_first_of_training(trained):
    """Relearning ends, as training does, where the loss is a million times that."""
    with looked_at(trained) as alone:
        _, kept = _kept(trained, alone, Care("1 h", updates=1, lr=1e-3))
        assert kept.first_loss == alone.trainer.first_loss
        assert kept.update == 150
        kept.first_loss = 1e-12
        with pytest.raises(DivergedError, match="diverged at update 151 of 151"):
            kept.step()
