"""What a chip at its limits says during a run, at the end, and in the record."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from neuroanp.errors import RunError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from neuroanp.training.launch import launch, resume
from neuroanp.training.results import ledger_of_run
from neuroanp.training.watch import Health, Watch
from tests.close import close

from .test_resume import SMALL

LIMITS = {
    "saturated": ("array: {weight_range: 0.5}", "at the limit of the array's range"),
    "clipped": ("periphery: {adc: {bits: 8, full_scale: 1 nA}}", "beyond the ADC's full scale"),
    "wear": ("energy: {endurance: 25}", "endurance is exhausted"),
}


def narrow(tmp_path, text: str):
    path = tmp_path / "narrow.yaml"
    path.write_text(f"extends: pcm\nmeta: {{name: narrow}}\n{text}\n")
    return configure(SMALL, {"profile": str(path), "optimizer.lr": 0.05})


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_is_told_when_it_is_reached_and_at_the_end(name, tmp_path, caplog):
    text, words = LIMITS[name]
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(narrow(tmp_path, text), tmp_path / "runs")
    warned = [entry.getMessage() for entry in caplog.records if words in entry.getMessage()]
    assert warned[0].startswith("update ")
    assert warned == [line.removeprefix("warning: ") for line in record.manifest["log"] if words in line]
    assert 1 <= len(warned) <= 2
    health = record.manifest["health"]
    if name == "wear":
        assert health["failed"] > 0 or health["wear"] > 1
    else:
        assert health[name] > 0.01


def test_write_verify_that_gives_up_is_told(tmp_path, caplog):
    """A tenth of these devices is stuck, so that about a fifth of the pairs, or a tenth of the weights, fails."""
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(configure(SMALL, {"profile": "rram_hfo2"}), tmp_path)
    assert any("write-verify gave up on" in entry.getMessage() for entry in caplog.records)
    assert 0.01 < record.manifest["health"]["unverified"] < 0.5


def test_a_healthy_chip_says_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(configure(SMALL), tmp_path)
    assert not caplog.records
    assert record.manifest["health"]["saturated"] == 0.0


def test_a_resumed_run_does_not_say_it_twice(tmp_path, monkeypatch):
    wanted = narrow(tmp_path, LIMITS["saturated"][0])
    whole = launch(wanted, tmp_path / "whole")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("neuroanp.training.loop.Training._finish", interrupted)
    with pytest.raises(RunError, match="interrupted"):
        launch(wanted, tmp_path / "cut")
    monkeypatch.undo()
    (path,) = (tmp_path / "cut").iterdir()
    told = [line for line in resume(path).manifest["log"] if line.startswith("warning: ")]
    assert told == [line for line in whole.manifest["log"] if line.startswith("warning: ")]


def test_saturation_counts_the_weights_at_the_range():
    trainer = build_trainer(Experiment.of(configure(SMALL, {"profile": "pcm"})))
    assert trainer.saturated() == 0.0
    for name, array in trainer.substrate.weights.items():
        array.fill_(trainer.limits[name])
    assert trainer.saturated() == 1.0
    targets = trainer.substrate.weights
    targets["w_in"].fill_(-trainer.limits["w_in"])  # at its lower end
    targets["w"].fill_(-0.99 * trainer.limits["w"])
    targets["w_out"].zero_()
    assert trainer.saturated() == close(targets["w_in"].numel() / sum(W.numel() for W in targets.values()), rel=1e-12)


def test_a_lasting_complaint_is_told_once_and_at_the_end_if_it_changed():
    said: list[str] = []
    watch = Watch(said.append)
    for update, share in ((10, 0.02), (20, 0.08), (30, 0.09)):
        watch.look(update, Health(share, 0.0, 0.0, 0.0, None))
    watch.end(Health(0.09, 0.0, 0.0, 0.0, 0.5))
    watch.end(Health(0.09, 0.0, 0.0, 0.0, 0.5))
    assert [line.partition(" of")[0] for line in said] == ["update 20: 8 %", "at the end: 9 %"]
    failed = dict(Health(0.0, 0.0, 0.0, 0.01, 3.0).complaints())
    assert set(failed) == {"failed"}  # says more than the wear


def test_a_share_of_all_is_written_out():
    assert "100 % of the devices" in dict(Health(0.0, 0.0, 0.0, 1.0, None).complaints())["failed"]


@pytest.mark.parametrize(
    ("silent", "restless", "told"),
    [(0.81, 0.0, {"silent"}), (0.8, 0.1, set()), (0.0, 0.11, {"restless"}), (0.9, 0.1, {"silent"})],
)
def test_what_units_do_is_told_beyond_a_share(silent, restless, told):
    found = dict(Health(0.0, 0.0, 0.0, 0.0, None, silent, restless, 12.345).complaints())
    assert set(found) == told
    assert all("(mean rate 12.3 Hz)" in sentence for sentence in found.values())
    assert all("neuron.drive" in sentence for sentence in found.values())


def test_silent_and_restless_units_are_counted_by_their_rates():
    """Of the highest rate, one over the refractory period: more than half of it is restless."""
    trainer = build_trainer(Experiment.of(configure({"task": "xor", "backend": "lif", "network": {"hidden": 4}})))
    assert trainer.backend.highest_rate_Hz(trainer.substrate.network) == 500.0
    found = Health.of(trainer, {}, np.array([0.0, 0.0, 250.0, 250.1]))
    assert (found.silent, found.restless) == (0.5, 0.25)
    assert found.rate_Hz == close(500.1 / 4)


@pytest.mark.parametrize(
    ("refractory", "dt", "highest"),
    [("2 ms", "1 ms", 500.0), ("4 ms", "1 ms", 250.0), ("0 s", "1 ms", 500.0), ("0.5 ms", "0.5 ms", 2000.0)],
)
def test_the_highest_rate_is_one_spike_a_refractory_period_2_ms_if_there_is_none(refractory, dt, highest):
    found = configure({"task": "xor", "backend": "lif"}, {"neuron.refractory": refractory, "dt": dt})
    made = Experiment.of(found)
    assert made.backend().highest_rate_Hz(made.network) == close(highest)


def test_books_of_a_run_are_the_first_write_and_its_updates():
    """By hand: the whole is the first write and every update's share, in energy, time and pulses."""
    trainer = build_trainer(Experiment.of(configure(SMALL, {"profile": "pcm", "optimizer.lr": 0.05})))
    first = trainer.substrate.ledger.report()
    each = []
    for _ in range(4):
        before = trainer.substrate.ledger.report()
        trainer.step()
        each.append(trainer.substrate.ledger.report()["pulses"] - before["pulses"])
    books = ledger_of_run(first, trainer.substrate.ledger.report(), 4)
    assert books["per_update"]["pulses"] == sum(each) / 4 > 0
    for key in ("energy_J", "time_s", "pulses"):
        assert books["first_write"][key] + 4 * books["per_update"][key] == close(books[key], rel=1e-12)
    assert books["first_write"]["energy_J"] == close(50e-12 * books["first_write"]["pulses"])


def test_a_deadband_that_swallows_every_change_is_told_once(tmp_path, caplog):
    """Steps of 1e-9 stay below any deadband; without the programming error there is none."""
    words = "no weight has been rewritten"
    small = {"profile": "pcm", "optimizer.lr": 1e-9, "optimizer.schedule": "constant", "training.updates": 24}
    with caplog.at_level(logging.WARNING, "neuroanp"):
        record = launch(configure(SMALL, small), tmp_path)
        told = [entry.getMessage() for entry in caplog.records if words in entry.getMessage()]
        assert len(told) == 1
        assert told[0].startswith("update 20: ")
        assert f"warning: {told[0]}" in record.manifest["log"]
        caplog.clear()
        for change in (
            {"hardware.write": "ideal"},
            {"hardware.without": ["programming_error"]},
            {"optimizer.lr": 0.05},
        ):
            launch(configure(SMALL, {**small, **change}), tmp_path)
    assert not [entry for entry in caplog.records if words in entry.getMessage()]


@pytest.mark.parametrize(
    ("change", "slow"), [({}, False), ({"dt": "1 ps"}, True), ({"hardware.temperature": "4 K"}, True)], ids=str
)
def test_junctions_that_do_not_switch_within_an_update_are_told(change, slow):
    _, log = described(Experiment.of(configure(SMALL, {"profile": "smtj_telegraph", **change})))
    assert any("hardly switch" in line for line in log) == slow
