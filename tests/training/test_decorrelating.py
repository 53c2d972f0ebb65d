"""Decorrelated runs: what is scored, evaluated, exported, stored and taken up again is W D."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.baselines.network import rate_outputs
from neuroanp.errors import InputError
from neuroanp.export.source import model_of
from neuroanp.training.batches import Batches
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.decorrelating import FOLDED, folded
from neuroanp.training.evaluate import HeldOutBatch, loss
from neuroanp.training.forward import held_out, predict, weights_of
from neuroanp.training.launch import launch
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.plain_form import plain
from neuroanp.training.readout import readout_trainer
from neuroanp.training.revisit import Look, revisit
from neuroanp.trajectory import Weights

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6, "bias": True},
    "rule": {"name": "anp", "decorrelation": {"lr": 0.2}},
    "training": {"updates": 20, "batch": 4, "controls": False},
}


def made(**changes):
    return build_trainer(Experiment.of(configure(SMALL, changes)))


def held_of(trainer):
    task = trainer.task
    return HeldOutBatch.of(task.test(trainer.streams.generator("test")), trainer.substrate.weights.like, task.loss)


CHANGES = {
    "anp": {}, "np": {"rule.name": "np"}, "inp": {"rule.name": "inp"}, "wp": {"rule.name": "wp"},
    "paper": {"rule.preset": "paper"}, "running": {"rule.reference": "running", "task.mode": "fixed"},
    "echo": {"rule.name": "echo", "rule.readout": "rls"}, "pcm": {"profile": "pcm"},
    "drawn": {"profile": "pcm", "hardware.read": "sampled"},
    "pulses": {"profile": "rram_hfo2", "hardware.write": "pulse"},
    "layers": {"network": {"layers": [{"units": 5}, {"cell": "gru", "units": 4}]}},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(name):
    whole, first, second = (made(**CHANGES[name]) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())
    for layer in whole.substrate.network.layers:
        D = whole.state_dict()[f"substrate/decorrelation/{layer.name}"]
        assert float((D - torch.eye(layer.units)).abs().max()) > 1e-3


def test_a_run_without_it_has_no_matrix_and_takes_the_compiled_path():
    usual, on = made(**{"rule.decorrelation": None}), made()
    assert not any("decorrelation" in name for name in usual.state_dict())
    for trainer, compiled in ((usual, True), (on, False)):
        assert isinstance(trainer.learner, PassLearner)
        lab = trainer.lab()
        assert (trainer.learner.form(lab) is not None and plain(lab)) is compiled


def test_matrices_come_to_rest_with_the_schedule():
    """After update k of 20 a cosine leaves (1 + cos(pi k / 20)) / 2 of the rate: all at first, a little at last."""
    moved, whole = [], []
    for k in (0, 1, 19):
        trainer = made()
        for _ in range(k):
            trainer.step()
        D = trainer.substrate.decorrelation["hidden"]
        lab = trainer.lab()
        whole.append(trainer.learner.learn(trainer.learned, lab)[1].decorrelation["hidden"] - D)
        trainer.step()
        moved.append(trainer.substrate.decorrelation["hidden"] - D)
    for share, found, expected in zip((1.0, 0.9938442, 0.0061558), moved, whole, strict=True):
        torch.testing.assert_close(found, share * expected, rtol=1e-3, atol=1e-7)
        assert float(expected.abs().max()) > 1e-4


def test_off_diagonals_shrink_while_it_learns():
    changes = {"training.updates": 300, "training.batch": 64, "optimizer.lr": 1e-6, "rule.decorrelation.lr": 0.3}
    trainer = made(**changes)  # many sequences: what few have in common by chance is chased, too
    trainer.step()

    def off():
        lab, D = trainer.lab(), trainer.substrate.decorrelation["hidden"]
        chunk = next(iter(lab.run(trainer.learner.plan, "all")))
        x = chunk.activities["hidden"].x.flatten(0, 2) @ D.T
        C = x.T @ x / len(x)
        return float((C - C.diag().diag()).norm() / C.norm())

    before = off()
    for _ in range(299):
        trainer.step()
    assert off() < 0.2 * before


@pytest.mark.parametrize("profile", ["ideal", "pcm"])
def test_what_is_scored_is_the_network_of_wd(profile):
    trainer = made(profile=profile, **({"hardware.without": ["dac", "adc"]} if profile == "pcm" else {}))
    for _ in range(20):
        trainer.step()
    held = held_of(trainer)
    reads, network = trainer.reads(), trainer.substrate.network
    W, D = Weights({n: read.W for n, read in reads.items()}, network), trainer.substrate.decorrelation
    with_D, without = (loss(rate_outputs(w, held.inputs).unsqueeze(1), held) for w in (folded(W, D), W))
    found = trainer.evaluate(held).test_loss_noise_free
    assert abs(found / with_D - 1) < 1e-5
    assert abs(found / without - 1) > 1e-2
    radius = torch.linalg.eigvals(folded(trainer.substrate.weights, D)["w"].double()).abs().max()
    assert trainer.spectral_radius() == pytest.approx(float(radius), rel=1e-6, abs=0)


@pytest.mark.parametrize("profile", ["ideal", "pcm"])
def test_what_a_record_gives_away_is_wd(profile, tmp_path: Path):
    """Weights, predictions, exports, and stored weights that another run or another device starts from."""
    quiet = {"profile": profile, "hardware.without": ["dac", "adc"]} if profile == "pcm" else {}
    record = launch(configure(SMALL, quiet), tmp_path)
    held, scored = held_out(record), record.result["test_loss_noise_free"]

    def outputs(weights):
        W = {name: part.double().numpy() for name, part in weights.items()}
        one, x, y = np.ones((held.inputs.shape[1], 1)), np.zeros((held.inputs.shape[1], 6)), []
        for u in held.inputs:
            x = np.tanh(np.hstack([u, one]) @ W["w_in"].T + x @ W["w"].T)
            y.append(np.hstack([x, one]) @ W["w_out"].T)
        return np.array(y)

    of_chip, targets = weights_of(record), weights_of(record, as_held=False)
    assert abs(held.loss(outputs(of_chip)) / scored - 1) < 1e-5
    np.testing.assert_allclose(predict(record, held.inputs, noise=False), outputs(of_chip), rtol=1e-4, atol=1e-5)
    state, _ = record.load_checkpoint(record.latest_checkpoint())
    D = state["substrate/decorrelation/hidden"]
    aim = {name: state[f"substrate/{name}/aim"] for name in ("w_in", "w", "w_out")}
    torch.testing.assert_close(targets["w"], aim["w"] @ D, rtol=1e-5, atol=1e-7)
    expected = torch.cat([aim["w_out"][:, :6] @ D, aim["w_out"][:, 6:]], 1)
    torch.testing.assert_close(targets["w_out"], expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(targets["w_in"], aim["w_in"])
    model = model_of(record)
    np.testing.assert_allclose(model.weights["w"], targets["w"].double().numpy(), rtol=1e-6)
    assert model.chip is None
    assert FOLDED in (*model.notes, *model.beside)
    again = {**SMALL, "network": {**SMALL["network"], "weights": str(record.path)}, "training": {"updates": 0}}
    for rule in ({"name": "anp"}, SMALL["rule"]):
        started = launch(configure({**again, "rule": rule}), tmp_path)
        assert abs(started.result["test_loss_noise_free"] / held.loss(outputs(targets)) - 1) < 1e-5
    rows = revisit(record, Look())
    assert rows[0]["test_loss_noise_free"] == pytest.approx(scored, rel=1e-6, abs=0)
    assert any(line.startswith("decorrelation: a digital matrix") for line in record.manifest["log"])


def test_a_bare_checkpoint_of_it_is_no_weights(tmp_path: Path):
    record = launch(configure(SMALL), tmp_path)
    file = next((record.path / "checkpoints").rglob("*.safetensors"))
    with pytest.raises(InputError, match=r"decorrelates its activity, .* name the run's directory"):
        launch(configure(SMALL, {"network.weights": str(file)}), tmp_path)


def test_the_control_of_a_frozen_recurrence_has_no_matrix(tmp_path: Path):
    control = readout_trainer(Experiment.of(configure(SMALL)), Batches())
    control.step()
    assert control.substrate.decorrelation == {}
    usual = readout_trainer(Experiment.of(configure(SMALL, {"rule.decorrelation": None})), Batches())
    usual.step()
    assert same(control.state_dict(), usual.state_dict())


def test_the_refit_control_sees_wd(tmp_path: Path, monkeypatch):
    """`refit` is fitted to the trained recurrence as its units run it."""
    from neuroanp.training import loop

    seen, usual = [], loop.controls

    def watched(*args, trained=None, **words):
        seen.append(trained)
        return usual(*args, trained=trained, **words)

    monkeypatch.setattr(loop, "controls", watched)
    record = launch(configure(SMALL, {"training.controls": True, "training.updates": 5}), tmp_path)
    torch.testing.assert_close(seen[0]["w"], weights_of(record)["w"], rtol=1e-6, atol=0)
