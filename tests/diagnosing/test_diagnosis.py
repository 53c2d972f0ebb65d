"""What a diagnosis looks at, and what it leaves alone: moments, settings, streams, chips, runs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.api.diagnosis import asked_of, diagnose
from neuroanp.backends.rate import RateBackend
from neuroanp.baselines.methods import BASELINES
from neuroanp.diagnosing import drawing
from neuroanp.diagnosing.asked import Draws
from neuroanp.diagnosing.diagnosis import of_config, of_run
from neuroanp.diagnosing.drawing import drawn, flat, held_to_gradient
from neuroanp.diagnosing.gradient import gradient_of
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.learning.protocol import RULES
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.trainer import Trainer
from tests.close import close

FEW = Draws(6, 6, 0.0)


def trainer_of(config, **changes):
    return build_trainer(Experiment.of(configure(config, changes)))


def table(config, **asked):
    return of_config(configure(config), asked_of(**{"draws": 6, **asked})).table()


@pytest.mark.parametrize("profile", ["ideal", "pcm", "rram_hfo2"])
@pytest.mark.parametrize("rule", ["anp", {"name": "noisy_gradient", "writes": True}], ids=["anp", "writes"])
def test_the_trainer_is_left_as_it_was_and_nothing_is_booked(tiny, profile, rule):
    trainer = trainer_of(tiny(rule=rule, profile=profile))
    before = {name: x.clone() for name, x in trainer.state_dict().items()}
    books = trainer.substrate.ledger.report()
    held_to_gradient(trainer, FEW)
    after = trainer.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.allclose(after[name], x, rtol=0, atol=0, equal_nan=True) for name, x in before.items())
    assert trainer.substrate.ledger.report() == books
    assert trainer.update == 0


def test_each_draw_begins_from_the_state_that_was_there(tiny):
    """The learner counts its calls in the state, and adds the count to its update: of each draw it is the first."""
    rows = table(tiny(rule={"name": "noisy_gradient", "noise": 0.0}))
    assert all(row["variance"] == 0 for row in rows)
    assert [row["scale"] for row in rows] == [1.0] * 4
    later = table(tiny(rule={"name": "noisy_gradient", "noise": 0.0}), at=[3])
    assert all(row["variance"] == 0 for row in later)
    assert later[0]["scale"] != 1.0  # three updates were made: the count is 3


@pytest.mark.parametrize("rule", ["anp", "np", {"name": "noisy_gradient"}], ids=str)
def test_draws_of_one_batch_differ_and_are_the_same_again(tiny, rule):
    trainer = trainer_of(tiny(rule=rule))
    lab = trainer.lab()
    names, like = [*trainer.substrate.weights], dict(trainer.substrate.weights)
    u = [flat(drawn(trainer, lab, i).arrays, names, like) for i in (0, 1, 0)]
    assert not np.allclose(u[0], u[1], atol=0)
    assert (u[0] == u[2]).all()
    trained = flat(trainer.learner.learn(trainer.learned, trainer.lab())[1].arrays, names, like)
    assert not np.allclose(trained, u[0], atol=0)  # the training's own noise is another


def test_the_same_seed_gives_the_same_rows_and_another_one_others(tiny):
    first, again, other = (table(tiny(rule="anp", seed=seed), K=[1, 2]) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("rule", ["anp", {"name": "np", "gamma": 0.5}], ids=str)
def test_rows_do_not_depend_on_how_time_is_cut(tiny, rule):
    whole, cut = (
        table(tiny(rule=rule, task={"length": 4}, training={"chunk": chunk, "memory": memory}), K=[3])
        for chunk, memory in ((100, None), (3, "1 B"))
    )
    for one, other in zip(whole, cut, strict=True):
        numbers = {key: value for key, value in one.items() if isinstance(value, float)}
        assert {key: other[key] for key in numbers} == close(numbers, rel=1e-7)


def test_moments_are_those_of_the_training_itself(tiny, tmp_path):
    """A run's checkpoints, and a training up to the same updates, to the last bit; the run is as it was."""
    config = configure(tiny(rule="anp", profile="pcm"))
    record = launch(config, tmp_path)
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files(record.path)}
    asked = asked_of(at=[0, 3, 6], K=[1, 2], draws=5)
    anew, kept = of_config(config, asked), of_run(record, asked)
    assert anew.table() == kept.table()
    assert [row["update"] for row in kept.table()] == [0] * 8 + [3] * 8 + [6] * 8
    assert kept.about["run"] == str(record.path)
    assert {**kept.about, "run": None} == anew.about
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files(record.path)} == before


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_run_is_looked_at_at_its_newest_checkpoint_and_says_which_are_there(tiny, tmp_path):
    record = launch(configure(tiny(rule="anp", training={"checkpoint_every": 2})), tmp_path)
    assert {row["update"] for row in of_run(record, asked_of(draws=5, K=1)).table()} == {6}
    with pytest.raises(InputError, match=r"--at 2: .* the checkpoints of updates 4, 6; .*config\.yaml --at 2"):
        of_run(record, asked_of(at=[2], draws=5))


def test_the_gradient_is_that_of_the_weights_as_the_chip_holds_them(tiny):
    """Drift moves weights, which the digital side does not know; the gradient follows, and so does backpropagation."""
    trainer = trainer_of(tiny(rule="bptt", profile="pcm"))
    fresh = gradient_of(trainer, trainer.lab()).arrays["w_out"]
    trainer.substrate.elapse(3e6)
    aged = gradient_of(trainer, trainer.lab()).arrays["w_out"]
    assert float((aged - fresh).norm() / fresh.norm()) > 0.05
    assert float(held_to_gradient(trainer, FEW)["all"].scale.value or 0) == close(1.0, rel=0.05)


def test_slow_read_noise_is_drawn_anew_and_is_not_in_the_gradient(tiny):
    """What lasts over an update is variance, of backpropagation too; the gradient is of the weights without it."""
    trainer = trainer_of(tiny(rule="bptt", profile="pcm", task={"length": 6}))
    found = held_to_gradient(trainer, Draws(30, 30, 0.0))["all"]
    assert (found.variance.value or 0.0) > 1e-4
    assert found.scale.low < 1.02
    assert found.scale.high > 0.98
    lab = trainer.lab()
    other = replace(lab, reads=trainer.substrate.prepare(lab.window_s, PassStreams(trainer.streams, "other", 7)))
    assert not torch.equal(other.reads["w"].W, lab.reads["w"].W)
    assert torch.equal(gradient_of(trainer, other).arrays["w"], gradient_of(trainer, lab).arrays["w"])


def test_nothing_is_presented_for_the_books_alone(tiny, monkeypatch):
    """Backpropagation looks at the twin; a training presents the batch as well, so that its reads are booked."""
    config = tiny(rule="bptt")

    def never(self, request):
        raise AssertionError("presented")

    monkeypatch.setattr(RateBackend, "run", never)
    with pytest.raises(AssertionError, match="presented"):
        trainer_of(config).step()
    held_to_gradient(trainer_of(config), FEW)


@pytest.mark.parametrize("name", [*RULES.names(), *BASELINES.names()])
def test_every_rule_can_be_diagnosed(tiny, name):
    rows = table(tiny(rule=name))
    assert [row["array"] for row in rows[:4]] == ["all", "w_in", "w", "w_out"]
    assert all(row["note"] is not None or row["scale"] is not None for row in rows)


@pytest.mark.parametrize(
    "options",
    [{"reference": reference, "difference": difference} for reference in ("silent", "two", "mean")
     for difference in ("activity", "innovation")] + [{"preset": "paper"}, {"gamma": 0.0, "credit": "batch"}],
    ids=str,
)  # fmt: skip
def test_options_of_a_rule_are_its_own(tiny, options):
    rows = table(tiny(rule={"name": "anp", **options}), K=[2], draws=12)
    assert rows[0]["passes"] == (4 if options.get("reference", "two") == "two" and "preset" not in options else 3)
    assert rows[-1]["array"] == "w_out"
    assert rows[-1]["cosine"] > 0.2


@pytest.mark.parametrize("backend", ["lif", "spiking"])
def test_units_that_spike_are_held_to_their_surrogate(tiny, backend):
    made = of_config(configure({**tiny(backend=backend), "task": "xor"}), asked_of(draws=4, K=1))
    assert made.about["gradient"] == "surrogate"
    assert len(made.rows) == 4


def test_layers_and_gates_have_rows_of_their_own(tiny):
    network = {"layers": [{"cell": "gru", "units": 4}, {"units": 3}]}
    config = {**tiny(rule="anp"), "network": network}
    rows = table(config, K=1)
    assert [row["array"] for row in rows][1:] == [*trainer_of(config).substrate.weights]
    assert sum(row["weights"] for row in rows[1:]) == rows[0]["weights"]


def test_replicas_are_the_usual_ones_beside_the_rules_own(tiny):
    rows = table(tiny(rule={"name": "anp", "K": 3}), draws=4)
    assert [(row["K"], row["passes"], row["own"]) for row in rows[::4]] == [
        (1, 2, False), (3, 6, True), (4, 8, False), (16, 32, False)
    ]  # fmt: skip


def test_noise_levels_come_first_and_reach_the_units(tiny):
    """Of a linear readout under noise that is small the update hardly changes with it; with a large one it does."""
    config = tiny(rule={"name": "anp", "reference": "silent"}, perturbation={"sigma": 0.25})
    rows = table(config, K=[1, 2], sigma=[1e-6, 1e-5, 0.25])
    assert [(row["sigma"], row["K"], row["own"]) for row in rows[::4]] == [
        (1e-6, 1, False), (1e-6, 2, False), (1e-5, 1, False), (1e-5, 2, False), (0.25, 1, True), (0.25, 2, False)
    ]  # fmt: skip
    scales = [row["scale"] for row in rows if row["array"] == "all" and row["K"] == 1]
    assert scales[0] == close(scales[1], rel=1e-3)
    assert scales[2] != close(scales[1], rel=1e-2)


def test_a_gaussian_beside_the_devices_own_noise_has_a_level(tiny):
    rows = table(tiny(profile="pcm", perturbation={"name": "gaussian", "sigma": 0.02}), K=1, sigma=[0.01])
    assert {row["sigma"] for row in rows} == {0.01}
    assert {row["sigma"] for row in table(tiny(profile="pcm"), K=1)} == {None}


def test_drawing_ends_when_the_angle_is_known_or_there_are_enough(tiny):
    config = tiny(rule="anp")
    narrow = {row["array"]: row for row in table(config, K=[64], draws=None, within=0.2)}
    assert narrow["all"]["draws"] == 16
    wide = table(config, K=[1], draws=None, within=1e-3, most=40)
    assert {row["draws"] for row in wide} == {40}
    assert {row["draws"] for row in table(config, K=[1], draws=None, most=7)} == {7}


def test_progress_is_told_of_training_and_of_drawing(tiny):
    events = []
    of_config(configure(tiny(rule="anp", training={"updates": 200})), asked_of(at=[150], K=1, draws=5), events.append)
    drawing = [event for event in events if event["phase"] == "drawing updates"]
    assert [event["update"] for event in drawing] == [1, 2, 3, 4, 5]
    assert drawing[0]["run"] == "copy ideal anp seed 0, update 150, K=1, sigma=0.01"
    assert events[-1]["phase"] == "done"
    training = [event for event in events if event["run"] == "copy ideal anp seed 0"]
    assert all(event["updates"] == 150 for event in training)
    assert training[-1]["phase"] == "done"


def test_a_state_that_does_not_fit_another_setting_is_refused(tiny, monkeypatch):
    """Of a rule whose state has one number for each replica."""
    from neuroanp.training.pass_learner import PassLearner

    monkeypatch.setattr(PassLearner, "init", lambda self, weights: {"each": torch.zeros(self.rule.K)})
    config = tiny(rule="anp")
    assert len(table(config, K=[1], at=[2])) == 4
    with pytest.raises(InputError, match=r"K=2, sigma=0\.01: what rule 'anp' has learned of its own"):
        table(config, K=[2], at=[2])


def test_a_world_has_no_gradient(tiny, monkeypatch):
    class World:
        steps, batch = 3, 3

    lab = Trainer.lab
    monkeypatch.setattr(Trainer, "lab", lambda self: replace(lab(self), source=World()))
    with pytest.raises(InputError, match="task: a world answers the network"):
        table(tiny(rule="anp"))


def test_a_backend_without_a_twin_has_no_gradient(tiny):
    trainer = trainer_of(tiny(rule="anp"))

    class Own(type(trainer.backend)):
        def differentiable(self, network):
            return None

    blind = replace(trainer, backend=Own(trainer.dt, 8))
    with pytest.raises(InputError, match=r"backend 'rate' has no twin of its units \(Tanh\)"):
        held_to_gradient(blind, FEW)


def test_an_update_that_is_not_finite_is_told(tiny):
    with pytest.raises(RunError, match=r"at update 0 a weight's update is not finite \(draw 1\)"):
        table(tiny(rule={"name": "noisy_gradient", "noise": 1.7e308}))


def test_a_training_that_diverges_on_the_way_says_so(tiny):
    rule, optimizer = {"name": "noisy_gradient", "noise": 1e5}, {"name": "sgd", "lr": 1000.0, "schedule": "constant"}
    config = tiny(rule=rule, optimizer=optimizer)
    with pytest.raises(DivergedError, match="diverged at update"):
        table(config, at=[0, 6])


def test_a_run_and_words_for_a_configuration_contradict_each_other(tiny, tmp_path):
    record = launch(configure(tiny(rule="anp")), tmp_path)
    with pytest.raises(InputError, match=r"has its configuration; leave out profile, overrides \(--set, --seed\)"):
        diagnose(record.path, profile="pcm", overrides={"rule.K": 2})


def test_python_takes_numbers_of_any_kind(tiny, tmp_path):
    made = diagnose(
        tiny(rule="anp"), at=np.array([0]), K=np.int64(2), sigma=(np.float32(0.5),), draws=np.int16(4), seed=1,
        progress=False, output=tmp_path / "out",
    )  # fmt: skip
    assert made.about["seed"] == 1
    assert {(row["K"], row["sigma"]) for row in made.table()} == {(2, 0.5)}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "diagnosis.csv", "diagnosis.json", "diagnosis.png", "diagnosis.svg"
    ]  # fmt: skip
    assert repr(made) == "Diagnosis(copy · ideal · anp · seed 1: 4 rows)"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"at": []}, "at: nothing is in it"),
        ({"at": "start"}, r"at: 'start' \(str\) is not a number"),
        ({"K": [1.5]}, "K: 1.5 .*is not a whole number of at least 1"),
        ({"K": 0}, r"K: 0 \(int\) is not a whole number of at least 1"),
        ({"sigma": 0.0}, "sigma: 0 is no standard deviation above 0"),
        ({"sigma": float("nan")}, "sigma: nan is no standard deviation above 0"),
        ({"draws": 3}, "draws: 3 updates; draw from 4 to 1,000,000"),
        ({"draws": 10, "within": 0.1}, "draws, within: so many draws are made"),
        ({"within": 1.0}, "within: 1 is no half width"),
        ({"within": float("nan")}, "within: nan is no half width"),
        ({"most": 2}, "draws: 2 updates"),
        ({"K": 0, "sigma": -1}, "the arguments have 2 problems"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(asked, says):
    with pytest.raises(InputError, match=says):
        asked_of(**asked)


@pytest.mark.parametrize("rule", [{}, {"rule": {"name": "echo", "readout": "rls"}}])
def test_what_learns_by_least_squares_is_held_to_no_gradient(tiny, rule):
    """Nor is it among all arrays: what these have is what they have without it."""
    rows = {row["array"]: row for row in table(tiny(**rule), K=[1], draws=12)}
    assert [*rows] == ["all", "w_in", "w", "w_out"]
    assert rows["w_out"]["cosine"] is None
    assert rows["w_out"]["note"].startswith("it learns by whole steps of least squares")
    assert rows["all"]["weights"] == rows["w_in"]["weights"] + rows["w"]["weights"]
    assert rows["w"]["cosine"] is not None


def test_every_draw_begins_from_the_same_chip(tiny, monkeypatch):
    """Whatever a learner wrote in between; the look for whole steps is a draw, too."""
    begun, original = [], drawing.drawn

    def writing(trainer, lab, draw):
        begun.append({name: x.clone() for name, x in trainer.substrate.state_dict().items()})
        update = original(trainer, lab, draw)
        trainer.substrate.load_state_dict({name: x + 1 for name, x in trainer.substrate.state_dict().items()})
        return update

    monkeypatch.setattr(drawing, "drawn", writing)
    table(tiny(), K=[1], draws=4)
    assert len(begun) >= 5
    for state in begun[1:]:
        assert all(torch.equal(state[name], x) for name, x in begun[0].items())
