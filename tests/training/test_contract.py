"""What holds for every simulator with every cell that it has, under every rule: one update of two layers.

Names come from the registries: a cell, a simulator or a rule that is added is held to all of this.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any, cast

import pytest
import torch

from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.errors import InputError
from neuroanp.learning.requirements import moves_weights
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.gradient_learner import twin
from neuroanp.training.launch import launch
from neuroanp.training.layers import UNITS
from neuroanp.training.learner import make_learner

from .test_resume import same

LIF_IN_WORDS = {
    "name": "equations",
    "model": "dv/dt = (-v + I + Iext)/(20*ms) : 1 (unless refractory)\n"
    "dI/dt = -I/(5*ms) : 1\ndz/dt = -z/(20*ms) : 1\nIext : 1",
    "threshold": "v > 1",
    "reset": "v = 0; z += 1",
    "refractory": "2 ms",
}
MOVES_WEIGHTS = [name for name in METHODS.names() if moves_weights(METHODS.get(name)())]
NO_SUCH_UNITS = (
    r"network\.layers(\[0\]\.cell)?: .*(has (spiking units|cells of rates) only|leaky integrate-and-fire units)"
)
OF_DATA = [name for name in METHODS.names() if "data" in make_learner(METHODS.get(name)()).takes]
"""Rules that learn from sequences: those of worlds are in test_reward_learner.py."""
ALL = [*product(BACKENDS.names(), UNITS.names(), OF_DATA)]


def refused(backend: str, cell: str, rule: str) -> str | None:
    """Return what is said of a combination that cannot be, as a pattern; None of all others."""
    if cell not in BACKENDS.get(backend).cells.names() or (cell == "equations" and backend != "spiking"):
        return NO_SUCH_UNITS
    if rule in ("sampled", "esn"):
        return rf"rule: '{rule}' computes weights of rate|network\.layers: rule '{rule}' computes networks of one layer"
    if rule == "bptt1" and spikes(backend):
        return r"rule: 'bptt1' is defined for rate networks alone"
    if rule in MOVES_WEIGHTS and BACKENDS.get(backend).digital:
        return rf"rule: '{rule}' moves weights by less than backend '{backend}' resolves"
    if rule == "bptt" and cell == "equations":
        return r"rule: backend 'spiking' has no network of its units that can be differentiated"
    return None


def options(cell: str):
    return dict(LIF_IN_WORDS) if cell == "equations" else {"name": cell}


def two_layers(backend: str, cell: str, rule: str, **changes):
    """Return the configuration of two layers; on a chip spikes take a step from one to the other."""
    passes = {"K": 2} if METHODS.get(rule).local else {}
    late = {"delay": 1} if BACKENDS.get(backend).digital else {}
    unit = options(cell) | ({"drive": 1.1} if UNITS.get(cell).spikes else {})
    held = {"clip": 0.1} if cell == "linear" else {}  # units that nothing bounds
    source = {
        "task": {"name": "xor", "start": 2, "pulse": 6, "gap": 2, "delay": 0, "window": 6, "test_size": 4},
        "backend": backend,
        "network": {
            "layers": [{"cell": unit, "units": 6}, {"cell": unit, "units": 5, **late}],
            "bias": True,
        },
        "rule": {"name": rule, **passes},
        "optimizer": {"name": "sgd", "lr": 1e-3, **held},
        "training": {"updates": 4, "batch": 4, "controls": False},
        # what is compiled of equations is held to what numpy does in backends/test_spiking_population.py
        "compute": {"dtype": "float64", **({"target": "numpy"} if cell == "equations" else {})},
    }
    if not spikes(backend) and rule not in MOVES_WEIGHTS:
        source["perturbation"] = {"name": "gaussian", "sigma": 0.01}
    return configure(source, changes)


def made(backend: str, cell: str, rule: str, **changes):
    return build_trainer(Experiment.of(two_layers(backend, cell, rule, **changes)))


def impossible():
    """Return what cannot be; where it is for the cell every rule is told the same, and all but one are long."""
    for case in ALL:
        if (said := refused(*case)) is not None:
            alike = said == NO_SUCH_UNITS and case[2] != "anp"
            yield pytest.param(*case, marks=[pytest.mark.long] if alike else [])


@pytest.mark.parametrize(("backend", "cell", "rule"), [*impossible()])
def test_what_cannot_be_is_refused_before_anything_begins(backend, cell, rule, tmp_path):
    with pytest.raises(InputError) as error:
        launch(two_layers(backend, cell, rule), tmp_path)
    assert not [*tmp_path.iterdir()]
    assert re.search(refused(backend, cell, rule) or "", "\n".join([str(error.value), *error.value.problems]))


LEARN = pytest.mark.parametrize(("backend", "cell", "rule"), [case for case in ALL if not refused(*case)])


@LEARN
def test_all_else_learns_in_every_array(backend, cell, rule):
    """The same bits again from the same seed, other ones from another, and on from what a checkpoint holds."""
    whole, again, other = made(backend, cell, rule), made(backend, cell, rule), made(backend, cell, rule, seed=1)
    first = {name: W.clone() for name, W in whole.substrate.weights.items()}
    rows = [whole.step(), whole.step()]
    again.step()
    other.step()
    gone_on = made(backend, cell, rule)
    gone_on.load_state_dict(again.state_dict())
    assert gone_on.step() == rows[1]
    assert same(gone_on.state_dict(), whole.state_dict())
    assert set(first) == {"w_in", "w_1", "w_1_2", "w_2", "w_out"}
    for _ in range(6 if whole.learned else 0):  # what remembers has to find out first
        whole.step()
        other.step()
    for name, W in whole.substrate.weights.items():
        assert bool(W.isfinite().all()), name
        assert not torch.equal(W, first[name]), name
        assert not torch.equal(W, other.substrate.weights[name]), name


@LEARN
def test_an_update_does_not_depend_on_what_is_stored(backend, cell, rule):
    """Nor on how many steps are simulated at once: passes that are run again, in chunks of three steps, teach alike."""
    stored, replayed = made(backend, cell, rule), made(backend, cell, rule)
    replayed.memory = 0
    cast("Any", replayed.backend).chunk = 3
    rows = [trainer.step() for trainer in (stored, replayed)]
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=1e-10, abs=0)
    for name, W in stored.substrate.weights.items():
        torch.testing.assert_close(replayed.substrate.weights[name], W, rtol=0, atol=1e-9 * float(W.abs().max()))


def cosine(one, other) -> float:
    a, b = (torch.cat([each[name].flatten() for name in sorted(one)]) for each in (one, other))
    return float(a @ b / (a.norm() * b.norm()))


def averaged():
    """Return the combinations whose mean update has a gradient to be compared with; all rules on all cells are long."""
    for backend, cell, rule in ALL:
        if refused(backend, cell, rule) or refused(backend, cell, "bptt"):
            continue
        every = rule == "anp" or (backend, cell) == ("rate", "tanh") or (cell == "lif" and rule == "bptt")
        yield pytest.param(backend, cell, rule, marks=[] if every else [pytest.mark.long])


@pytest.mark.parametrize(("backend", "cell", "rule"), [*averaged()])
def test_the_mean_update_descends(backend, cell, rule):
    """Along the gradient of the network without noise that the simulator differentiates, over all arrays together.

    What remembers has seen some presentations before.
    """
    # gates, and units that nothing bounds, have the noisiest updates: fewer draws left cosines of .1 to .6
    draws, presentations = (64, 8) if cell in ("gru", "lstm", "linear") else (32, 4)
    K = 2 * draws if rule in MOVES_WEIGHTS else draws  # of 120 weights more is not told from chance than of 11 units
    more = {"rule.K": K} if METHODS.get(rule).local else {}
    # one running mean of the reward for batches that differ: weights must move as far as to be heard above that
    trainer = made(backend, cell, rule, **more, **({"rule.sigma": 0.14} if rule == "oua" else {}))
    for _ in range(20 if trainer.learned else 0):
        trainer.learned, _ = trainer.learner.learn(trainer.learned, trainer.lab())
        trainer.update += 1
    total, exact = ({name: torch.zeros_like(W) for name, W in trainer.substrate.weights.items()} for _ in range(2))
    for _ in range(presentations):
        lab = trainer.lab()
        outputs = twin(lab.backend, lab.network, lab.substrate.neurons)
        _, update = trainer.learner.learn(trainer.learned, lab)
        gradient = autograd_gradient(outputs, lab.read(), cast("Any", lab), loss=lab.loss)
        for name in total:
            total[name] += update.arrays[name]
            exact[name] += gradient.arrays[name]
        trainer.update += 1
    assert cosine(total, exact) > 0.25  # of 120 weights 2.7 standard deviations of what has no direction
