"""A learner of one's own: weight perturbation, which writes in the course of an update and remembers what it did."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor

from neuroanp.baselines.bptt import gradient
from neuroanp.errors import InputError
from neuroanp.registry import missing
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS
from neuroanp.training.learner import LEARNERS, Learner
from neuroanp.trajectory import PassPlan, WeightUpdate
from neuroanp.yaml_io import Section

SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
CONFIG = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}, "network": {"hidden": 5},
    "training": {"updates": 6, "batch": 4, "controls": False, "checkpoint_every": 3}, "compute": {"dtype": "float64"},
    "perturbation": "none",
}  # fmt: skip


class Options(Section):
    """Weight perturbation: dW = (L(W + sigma xi) - L(W)) xi / sigma."""

    learner: ClassVar[str] = "own_wp"
    local: ClassVar[bool] = True
    presets: ClassVar[dict[str, Any]] = {}
    preset_optimizers: ClassVar[dict[str, Any]] = {}
    needs: ClassVar[tuple[str, ...]] = ()
    feedback: ClassVar[str] = "S"

    name: Literal["own_wp"] = "own_wp"
    sigma: float = Field(default=1e-4, gt=0, description="how far weights are moved")

    def check(self, spiking: bool) -> None:
        """Take any units."""


class WeightPerturbation:
    """Perturb all weights at once."""

    options: ClassVar[type[Section]] = Options
    takes: ClassVar[tuple[str, ...]] = ("data",)
    passes, noisy = 2, False

    def __init__(self, rule: Options) -> None:
        self.sigma = rule.sigma

    def numbers_kept(self, network) -> int:
        return 0

    def init(self, weights) -> dict[str, Tensor]:
        return {"count": torch.zeros((), dtype=torch.int64), **{f"sum/{k}": 0 * W for k, W in weights.items()}}

    def learn(self, state, lab) -> tuple[dict[str, Tensor], WeightUpdate]:
        draws = torch.Generator().manual_seed(int(state["count"]))
        xi = {name: torch.randn(W.shape, generator=draws, dtype=W.dtype) for name, W in lab.read().items()}
        step = {name: self.sigma * x for name, x in xi.items()}
        before = self.loss(lab)
        moved, _ = lab.write(WeightUpdate({name: -dW for name, dW in step.items()}), 1)
        after = self.loss(moved)
        moved.write(WeightUpdate(step), 2)
        dW = {name: (after - before) / self.sigma * x for name, x in xi.items()}
        learned = {"count": state["count"] + 1, **{f"sum/{k}": state[f"sum/{k}"] + dW[k] for k in dW}}
        return learned, WeightUpdate(dW, {"loss": before / float(lab.mask.sum())})

    @staticmethod
    def loss(lab) -> float:
        """Return L = 1/B sum_{t,b} m_t L_tb."""
        return sum(float(lab.losses(chunk).sum()) for chunk in lab.run(SILENT, "loss")) / lab.batch


@pytest.fixture
def wp(monkeypatch):
    monkeypatch.setattr(LEARNERS, "_registered", dict(LEARNERS._registered))
    LEARNERS.register("own_wp")(WeightPerturbation)


def made(**changes):
    return build_trainer(Experiment.of(configure({**CONFIG, "rule": "own_wp"}, changes)))


def test_it_is_whole_and_is_chosen_as_rules_are(wp):
    assert missing(WeightPerturbation, Learner) == []
    assert isinstance(made().learner, WeightPerturbation)
    assert configure({**CONFIG, "rule": {"name": "own_wp", "sigma": 0.5}}).to_plain()["rule"] == {
        "name": "own_wp",
        "sigma": 0.5,
    }
    with pytest.raises(InputError, match=r"rule.sgma: unknown key; did you mean 'rule.sigma'"):
        configure({**CONFIG, "rule": {"name": "own_wp", "sgma": 0.5}})


def test_who_is_no_learner_is_none_to_choose():
    with pytest.raises(InputError, match="unknown rule 'passes'"):
        configure({**CONFIG, "rule": "passes"})


def test_its_mean_update_is_the_gradient_and_the_weights_come_back(wp):
    trainer = made()
    before = {name: W.clone() for name, W in trainer.substrate.weights.items()}
    lab, state = trainer.lab(), trainer.learned
    for _ in range(400):
        state, _ = trainer.learner.learn(state, lab)
    for name, W in trainer.substrate.weights.items():
        torch.testing.assert_close(W, before[name], rtol=0, atol=1e-13)
    exact = gradient(trainer.substrate.weights, lab).arrays
    flat = [
        torch.cat([part[name].flatten() for name in exact]) for part in ({k: state[f"sum/{k}"] for k in exact}, exact)
    ]
    assert float(torch.cosine_similarity(*flat, dim=0)) > 0.9
    assert float(flat[0].norm() / 400 / flat[1].norm()) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("profile", ["ideal", "pcm", "rram_hfo2"])
def test_its_state_is_in_the_checkpoint_and_a_resumed_run_is_the_same(wp, profile):
    write = {"hardware.write": "verify"} if profile != "ideal" else {}
    whole, first, second = (made(profile=profile, **write) for _ in range(3))
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    state = first.state_dict()
    assert {name for name in state if name.startswith("learner/")} == {
        "learner/count", "learner/sum/w_in", "learner/sum/w", "learner/sum/w_out",
    }  # fmt: skip
    second.load_state_dict(state)
    for _ in range(3):
        second.step()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert int(whole.learned["count"]) == 6


def test_writes_of_one_update_have_draws_of_their_own(wp):
    """On a device that errs, each of the writes of an update errs anew."""
    chips = [made(profile="pcm", **{"hardware.write": "verify"}).substrate for _ in range(3)]
    streams = made(profile="pcm").streams
    dW = WeightUpdate({name: 0.1 * torch.ones_like(W) for name, W in chips[0].weights.items()})
    for chip, part in zip(chips, (0, 1, 2), strict=True):
        chip.apply(dW, 1.0, streams, 7, part)
    held = [chip.arrays["w"].cells["g"] for chip in chips]
    assert not torch.equal(held[0], held[1])
    assert not torch.equal(held[1], held[2])
    assert all(torch.equal(chips[0].weights["w"], chip.weights["w"]) for chip in chips[1:])


def test_a_write_of_a_lab_has_the_draws_of_its_update_and_part_and_is_read_in_its_window(wp):
    """W <- W - dW with ("c2c/<array>", update, part); what is read then has the 1/f noise of all M B T dt."""
    held = []
    for update, part in ((0, 1), (3, 1), (3, 2)):
        trainer, twin = (made(profile="pcm", **{"hardware.write": "verify"}) for _ in range(2))
        dW = WeightUpdate({name: 0.1 * torch.ones_like(W) for name, W in trainer.substrate.weights.items()})
        trainer.update = update
        lab = trainer.lab()
        moved, _ = lab.write(dW, part)
        twin.substrate.apply(dW, 1.0, twin.streams, update, part)
        for name, array in twin.substrate.arrays.items():
            assert torch.equal(trainer.substrate.arrays[name].cells["g"], array.cells["g"])
            reads = [twin.substrate.prepare(s * trainer.window(), lab.streams)[name].sigma2 for s in (1, 2)]
            assert torch.equal(moved.reads[name].sigma2, reads[0])
            assert not torch.equal(reads[0], reads[1])
        held.append(trainer.substrate.arrays["w"].cells["g"])
    assert not torch.equal(held[0], held[1])
    assert not torch.equal(held[1], held[2])


def test_options_of_an_own_learner_that_lack_a_member_are_refused_by_name():
    class Bare(Section):
        learner: ClassVar[str] = "bare"
        name: Literal["bare"] = "bare"

    class Learns(WeightPerturbation):
        options = Bare

    name = "bare_options"
    LEARNERS._registered[name] = Learns  # as if it were an installed package's
    try:
        with pytest.raises(InputError, match=r"learner 'bare_options': the model of its options lacks check, feedback"):
            METHODS.get(name)
    finally:
        del LEARNERS._registered[name]
