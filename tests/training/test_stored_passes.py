"""What stored passes take: the count that decides whether they are stored, against the memory that is held."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from neuroanp.backends.rate import RateBackend
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.pass_learner import PassLearner
from neuroanp.trajectory import Trajectory

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 3, "delay": 5, "symbols": 2, "test_size": 4},
    "network": {"hidden": 9},
    "profile": "ideal",
    "perturbation": {"name": "gaussian"},
    "training": {"updates": 3, "batch": 3, "controls": False},
}
SPIKING = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}}
SEEN: list[Trajectory] = []


class SeenANP(ANP):
    def modulate(self, chunk, credit, weights, plan):
        SEEN.append(chunk)
        return super().modulate(chunk, credit, weights, plan)


class SeenNP(NP):
    def modulate(self, chunk, credit, weights, plan):
        SEEN.append(chunk)
        return super().modulate(chunk, credit, weights, plan)


RULES = {
    "two": SeenANP(reference="two", K=2),
    "mean": SeenANP(reference="mean", K=4),
    "silent": SeenANP(reference="silent", K=1),
    "np": SeenNP(reference="two", K=1),
}


def ready(rule, changes: dict):
    return replace(build_trainer(Experiment.of(configure(SMALL, changes))), learner=PassLearner(rule))


def held(chunks: list[Trajectory]) -> int:
    """Bytes of memory behind the tensors of all passes, each piece of it once.

    Inputs are there once, however many passes there are.
    """
    pieces = {}
    for chunk in chunks:
        of_layers = [getattr(layer, field.name) for layer in chunk.layers.values() for field in fields(layer)]
        zeros = {id(layer.x_prev) for layer in chunk.layers.values() if chunk.t0 == 0}  # before the first step
        for tensor in [*of_layers, chunk.y, *chunk.pre.values(), *(chunk.noise or {}).values()]:
            if tensor is not None and id(tensor) not in zeros:
                storage = tensor.untyped_storage()
                pieces[storage.data_ptr()] = storage.nbytes()
    return sum(pieces.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 4, 64])
@pytest.mark.parametrize("rule", RULES)
def test_the_count_is_what_is_held(rule, chunk, dtype):
    """T M B (2 N + O) numbers, and N + O more where the rule knows its noise."""
    trainer = ready(RULES[rule], {"training.chunk": chunk, "compute.dtype": dtype})
    context = trainer.lab()
    SEEN.clear()
    trainer.learner.learn(trainer.learned, context)[1]
    T, M, numbers = 11, trainer.learner.passes, 2 * 9 + 2 + (9 + 2) * (rule == "np")
    assert sum(len(part.y) for part in SEEN) == T
    assert trainer.learner.stored_bytes(context) == held(SEEN) == T * M * 3 * numbers * int(dtype[-2:]) // 8


@pytest.mark.parametrize("rule", RULES)
def test_every_pre_activation_of_every_layer_is_counted(rule):
    """Five units of four pre-activations, and four of one: h, x and y, and what the rule knows of the noise."""
    layers = [{"cell": "gru", "units": 5}, {"units": 4}]
    trainer = ready(RULES[rule], {"network": {"layers": layers, "bias": True}, "training.chunk": 4})
    context = trainer.lab()
    SEEN.clear()
    trainer.learner.learn(trainer.learned, context)
    lines = 4 * 5 + 4 + 2
    numbers = lines + 9 + lines * (rule == "np")
    assert trainer.learner.stored_bytes(context) == held(SEEN) == 11 * trainer.learner.passes * 3 * numbers * 4


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
    """To the byte; the weights and the books are the same, bit for bit."""
    presented = []

    class Counting(RateBackend):
        def run(self, request):
            presented.append(request.keep)
            return super().run(request)

    kept = "noise" if rule == "np" else "all"
    fits, short = (replace(ready(RULES[rule], {}), backend=Counting(1e-6, 4)) for _ in range(2))
    fits.memory = fits.learner.stored_bytes(fits.lab())
    short.memory = fits.memory - 1
    for trainer, expected in ((fits, [kept]), (short, ["loss", kept])):
        for _ in range(2):
            presented.clear()
            trainer.step()
            assert presented == expected
    assert same(fits.state_dict(), short.state_dict())


def test_credit_of_the_own_step_stores_nothing():
    trainer = ready(SeenANP(reference="mean", gamma=0.0), {"training.chunk": 4})
    context = replace(trainer.lab(), memory=0)
    SEEN.clear()
    update = trainer.learner.learn(trainer.learned, context)[1]
    assert [part.t0 for part in SEEN] == [0, 4, 8]
    whole = PassLearner(ANP(reference="mean", gamma=0.0)).learn({}, ready(RULES["two"], {}).lab())[1]
    for name, g in update.arrays.items():
        torch.testing.assert_close(g, whole.arrays[name], rtol=1e-4, atol=1e-5 * float(g.abs().max()))
