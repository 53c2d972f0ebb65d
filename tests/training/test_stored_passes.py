"""What stored passes take: the count that decides whether they are stored, against the memory that is held."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuroanp.backends.rate import RateBackend
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.pass_learner import Kept, PassLearner

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 3, "delay": 5, "symbols": 2, "test_size": 4},
    "network": {"hidden": 9},
    "profile": "ideal",
    "perturbation": {"name": "gaussian"},
    "training": {"updates": 3, "batch": 3, "controls": False},
}
SPIKING = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}}
SEEN: list[Kept] = []


class Seen(PassLearner):
    """Notes what is kept of each chunk, as it is used."""

    def _update(self, chunks, lab, losses, into=None):
        def noted():
            for kept in chunks:
                SEEN.append(kept)
                yield kept

        return super()._update(noted(), lab, losses)


RULES = {
    "two": ANP(reference="two", K=2),
    "mean": ANP(reference="mean", K=4),
    "silent": ANP(reference="silent", K=1),
    "np": NP(reference="two", K=1),
}


def ready(rule, changes: dict):
    return replace(build_trainer(Experiment.of(configure(SMALL, changes))), learner=Seen(rule))


def held(kept: list[Kept]) -> int:
    """Bytes of memory behind the tensors that are kept, each piece of it once; those of the inputs are the task's."""
    pieces = {}
    for each in kept:
        before = each.presynaptic.before.values() if each.t0 else ()  # zeros before the first step
        of = [*each.compared.d.values(), *each.presynaptic.layers.values(), *each.presynaptic.arrays.values(), *before]
        of += [gain for gain in each.compared.gain.values() if isinstance(gain, torch.Tensor)]
        for tensor in [*of, each.losses]:
            storage = tensor.untyped_storage()
            pieces[storage.data_ptr()] = storage.nbytes()
    return sum(pieces.values())


def numbers(rule, lines: int, units: int) -> int:
    """R differences of all pre-activations and outputs with a gain that groups of one norm share; x, and M losses."""
    plan = rule.plan()
    gains = 0 if rule.name == "np" else 1  # that of known noise is one number for all steps
    return plan.differences * (lines + gains) + units + plan.passes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 4, 64])
@pytest.mark.parametrize("rule", RULES)
def test_the_count_is_what_is_held(rule, chunk, dtype):
    """No more than the differences, what they are divided by, and one presynaptic activity."""
    trainer = ready(RULES[rule], {"training.chunk": chunk, "compute.dtype": dtype})
    context = trainer.lab()
    SEEN.clear()
    trainer.learner.learn(trainer.learned, context)[1]
    assert sum(len(part.losses) for part in SEEN) == 11
    assert held(SEEN) == 11 * 3 * numbers(RULES[rule], 9 + 2, 9) * int(dtype[-2:]) // 8
    counted = trainer.learner.stored_bytes(context)
    assert 0.8 * counted < held(SEEN) < counted


@pytest.mark.parametrize("rule", RULES)
def test_every_pre_activation_of_every_layer_is_counted(rule):
    """Five units of four pre-activations, and four of one."""
    layers = [{"cell": "gru", "units": 5}, {"units": 4}]
    trainer = ready(RULES[rule], {"network": {"layers": layers, "bias": True}, "training.chunk": 4})
    context = trainer.lab()
    SEEN.clear()
    trainer.learner.learn(trainer.learned, context)
    assert held(SEEN) == 11 * 3 * numbers(RULES[rule], 4 * 5 + 4 + 2, 9) * 4
    assert held(SEEN) <= trainer.learner.stored_bytes(context) < 1.2 * held(SEEN)


@pytest.mark.parametrize("more", [{}, {"network.bias": True}, {"neuron.decoder": "count"}])
@pytest.mark.parametrize("chunk", [1, 64])
@pytest.mark.parametrize("rule", ["two", "np"])
def test_spiking_units_hold_no_more_than_is_counted(rule, chunk, more):
    trainer = ready(RULES[rule], {**SPIKING, "training.chunk": chunk, **more})
    context = trainer.lab()
    SEEN.clear()
    trainer.learner.learn(trainer.learned, context)[1]
    assert held(SEEN) <= trainer.learner.stored_bytes(context) < 2 * held(SEEN)


@pytest.mark.parametrize("rule", ["mean", "np"])
def test_passes_run_twice_only_where_they_do_not_fit(rule):
    """The weights and the books are the same, bit for bit."""
    presented = []

    class Counting(RateBackend):
        def run(self, request):
            presented.append(request.keep)
            return super().run(request)

    kept = RULES[rule].keep
    fits, short = (replace(ready(RULES[rule], {}), backend=Counting(1e-6, 4)) for _ in range(2))
    fits.memory = fits.learner.stored_bytes(fits.lab())
    short.memory = fits.memory // 9
    for trainer, expected in ((fits, [kept]), (short, ["loss", kept])):
        for _ in range(2):
            presented.clear()
            trainer.step()
            assert presented == expected
    assert same(fits.state_dict(), short.state_dict())


def test_credit_of_the_own_step_stores_nothing():
    trainer = ready(ANP(reference="mean", gamma=0.0), {"training.chunk": 4})
    context = replace(trainer.lab(), memory=0)
    SEEN.clear()
    update = trainer.learner.learn(trainer.learned, context)[1]
    assert [part.t0 for part in SEEN] == [0, 4, 8]
    whole = PassLearner(ANP(reference="mean", gamma=0.0)).learn({}, ready(RULES["two"], {}).lab())[1]
    for name, g in update.arrays.items():
        torch.testing.assert_close(g, whole.arrays[name], rtol=1e-4, atol=1e-5 * float(g.abs().max()))
