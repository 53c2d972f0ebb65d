"""Learning on stochastic junctions: preset smtj by hand, each noise, feed-forward networks that see a still image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.backends.rate import RateBackend
from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.decorrelating import matrices
from neuroanp.training.launch import launch
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.plain_form import plain
from tests.close import close

from .test_compiled_update import General
from .test_resume import same

CELL = {"name": "leaky_relu", "slope": 0.1}
SMALL = {
    "task": {"name": "digits", "mode": "rates", "steps": 1, "window": 1, "loss": "cross_entropy", "test_size": 20},
    "network": {
        "bias": True,
        "layers": [{"cell": CELL, "units": 6, "recurrent": False}, {"cell": CELL, "units": 5, "recurrent": False}],
    },
    "rule": {"name": "anp", "preset": "smtj"},
    "training": {"updates": 20, "batch": 4, "controls": False},
}
GROUPS = {"input": 64, "hidden_1": 6, "hidden_2": 5}


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """A profile that replays a recorded trace with a memory of some ten samples."""
    folder, rng = tmp_path_factory.mktemp("recorded"), np.random.default_rng(0)
    state = np.cumprod(np.where(rng.random(2000) < 0.08, -1.0, 1.0))
    np.savez(folder / "trace.npz", voltage_mV=42.0 + 6.0 * state + 0.9 * rng.standard_normal(2000))
    text = (
        "extends: smtj_koenders\nmeta: {name: recorded, summary: a trace, source: made here, status: illustrative}\n"
        "stochastic: {law: measured, file: trace.npz, sampling_time: 1 us, mode: replay, n_sources: 1, kappa: 1, "
        "volts_per_unit: 0.3 V}\n"
    )
    (folder / "recorded.yaml").write_text(text)
    return str(folder / "recorded.yaml")


NOISES = ("gaussian", "bernoulli", "centred_bernoulli", "smtj_koenders", "smtj_telegraph", "recorded")


def noise(name, trace, sigma=0.02):
    if name == "recorded":
        return {"profile": trace}
    return {"profile": name} if name.startswith("smtj") else {"perturbation": {"name": name, "sigma": sigma}}


def made(changes):
    return build_trainer(Experiment.of(configure(SMALL, changes)))


def with_matrices(trainer, seed=0, size=0.1):
    """Give every group a matrix that is neither the identity nor symmetric."""
    D = {}
    for k, (name, before) in enumerate(trainer.substrate.decorrelation.items()):
        rng = torch.Generator().manual_seed(seed + k)
        D[name] = before + size * torch.randn(before.shape, dtype=before.dtype, generator=rng)
    trainer.substrate.decorrelate(D)
    return D


# ---- the update, written out ----


def by_hand(trainer, lab, sigma):
    """Return dW by array and the next D by group: loops over samples, nothing of neuroanp but its numbers."""
    W, D = ({k: v.numpy() for k, v in of.items()} for of in (lab.substrate.weights, trainer.substrate.decorrelation))
    arrays, groups = ("w_in", "w_1_2", "w_out"), ("input", "hidden_1", "hidden_2", "output")
    u, targets, B = lab.source.numpy()[0], lab.targets.numpy()[0], lab.batch
    xi = {
        (name, m): lab.streams.normal(f"gaussian/{name}", m, 0, 1, (B, n), np.float64)[0]
        for name, n in (("hidden_1", 6), ("hidden_2", 5), ("output", 10))
        for m in (0, 1)
    }
    dW = {name: np.zeros_like(W[name]) for name in arrays}
    C = {name: np.zeros_like(D[name]) for name in D}
    for b in range(B):
        a, before, L = [{}, {}], [{}, {}], [0.0, 0.0]
        for m in (0, 1):
            x = u[b]
            for array, pre, post in zip(arrays, groups[:-1], groups[1:], strict=True):
                before[m][array] = np.append(D[pre] @ x, 1.0)
                a[m][post] = W[array] @ before[m][array] + sigma * xi[post, m][b]
                x = np.where(a[m][post] > 0, a[m][post], 0.1 * a[m][post])
            y = a[m]["output"]
            L[m] = np.log(np.exp(y).sum()) - y @ targets[b]
        d = {post: a[0][post] - a[1][post] for post in groups[1:]}
        squared, n = sum(each @ each for each in d.values()), sum(len(each) for each in d.values())
        for array, pre, post in zip(arrays, groups[:-1], groups[1:], strict=True):
            dW[array] += n * (L[0] - L[1]) / squared * np.outer(d[post], before[0][array]) / B
            z = before[0][array][:-1]
            C[pre] += np.outer(z, z) / B
    lr = 1.9073e-7
    return dW, {name: D[name] - lr * (C[name] - np.diag(np.diag(C[name]))) @ D[name] for name in D}


def test_an_update_of_the_preset_is_the_published_formula():
    trainer = made({**noise("gaussian", "", 0.3), "compute.dtype": "float64"})
    D = with_matrices(trainer)
    lab = trainer.lab()
    found = trainer.learner.learn(trainer.learned, lab)[1]
    dW, following = by_hand(trainer, lab, 0.3)
    assert set(found.arrays) == set(dW)
    for name, expected in dW.items():
        np.testing.assert_allclose(found.arrays[name].numpy(), expected, rtol=1e-9, atol=1e-12)
    assert set(found.decorrelation) == set(GROUPS)
    for name, expected in following.items():
        moved = found.decorrelation[name] - D[name]
        assert float(moved.abs().max()) > 0
        np.testing.assert_allclose(moved.numpy(), expected - D[name].numpy(), rtol=1e-6, atol=1e-15)


def test_rates_are_those_of_the_papers_code_on_mnist():
    config = configure(SMALL)
    stated = config.optimizer
    assert (stated.name, stated.lr, stated.schedule, stated.beta1, stated.beta2, stated.eps) == (
        "adam", 4.8828e-5, "constant", 0.9, 0.999, 1e-8,
    )  # fmt: skip
    assert config.rule.decorrelation.lr == 1.9073e-7
    assert config.rule.feedback == "S"
    own = configure(SMALL, {"rule.decorrelation.lr": 0.01, "optimizer.lr": 2e-3})
    assert (own.rule.decorrelation.lr, own.optimizer.lr) == (0.01, 2e-3)
    assert configure(SMALL, {"rule.decorrelation": None}).rule.decorrelation is None
    layers = {"name": "anp", "preset": "smtj", "decorrelation": {"inputs": False}}
    assert configure({**SMALL, "rule": layers}).rule.decorrelation.lr == 1.9073e-7


@pytest.mark.parametrize("changes", [{}, {"rule.decorrelation": None}, {"rule.decorrelation.inputs": False}])
def test_a_configuration_comes_back_from_its_own_dump(changes):
    config = configure(SMALL, changes)
    assert configure(config.to_plain()) == config


def test_what_older_runs_did_not_have_is_not_written_where_it_is_not_said():
    plain = configure({"task": "copy", "rule": {"name": "anp", "decorrelation": {"lr": 0.1}}}).to_plain()["rule"]
    assert "presynaptic" not in plain
    assert plain["decorrelation"] == {"lr": 0.1, "trailing": None}


# ---- what it estimates ----


@pytest.mark.parametrize("rule", ["anp", "anp, mean", "np", "np, mean"])
@pytest.mark.parametrize("name", NOISES)
def test_on_average_the_outputs_get_the_gradient_of_the_loss_whatever_the_noise(name, rule, trace):
    """Of units that move nothing but themselves E n (g.xi) xi / |xi|^2 = g, for noise that is alike for all of them.

    Alike: exchangeable units, and differences of either sign. Hidden units, which the outputs do not listen to, get
    nothing on average; what each sequence gets is n dL along its own change, and the gradient along all of them.
    """
    if rule != "anp" and name == "recorded":
        pytest.skip("one replay is enough: of other noises all rules are held")
    base, _, reference = rule.partition(", ")
    options = {"name": base, "reference": reference or "two", **({"K": 2} if reference else {})}
    changes = {**noise(name, trace, 1e-3), "rule": options, "network": {"bias": True, "layers": [
        {"units": 6, "recurrent": False}]}, "training.batch": 4000, "compute.dtype": "float64"}  # fmt: skip
    trainer = made(changes)
    W = {k: v.clone() for k, v in trainer.substrate.weights.items()}
    W["w_out"][:, :-1] = 0.0
    W["w_out"][:, -1] = torch.linspace(-1, 1, 10)
    trainer.write(W)
    lab = trainer.lab()
    lab.source[:], lab.targets[:] = lab.source[:, :1], lab.targets[:, :1]
    dW = trainer.learner.learn(trainer.learned, lab)[1].arrays
    x = torch.cat([torch.tanh(W["w_in"] @ torch.cat([lab.source[0, 0], torch.ones(1)]).double()), torch.ones(1)])
    gradient = torch.outer(W["w_out"][:, -1].softmax(0) - lab.targets[0, 0], x)
    found = dW["w_out"]
    projection = float((found * gradient).sum() / gradient.square().sum())
    cosine = float((found * gradient).sum() / found.norm() / gradient.norm())
    assert abs(projection - 1) < 0.12, projection
    assert cosine > 0.97, cosine
    assert float(dW["w_in"].norm()) < 0.5 * float(found.norm())


@pytest.mark.parametrize("name", NOISES[:-1])
def test_through_layers_it_points_along_the_gradient(name, trace):
    """Of a whole network units move those above them, too, so that it is the direction that is held."""
    changes = {**noise(name, trace, 1e-3), "training.batch": 30_000, "compute.dtype": "float64"}
    trainer = made(changes)
    lab = trainer.lab()
    lab.source[:], lab.targets[:] = lab.source[:, :1], lab.targets[:, :1]
    dW = trainer.learner.learn(trainer.learned, lab)[1].arrays
    leaves = {k: v.clone().requires_grad_() for k, v in lab.substrate.weights.items()}
    x, one = lab.source[0, 0], torch.ones(1, dtype=torch.float64)
    for array in ("w_in", "w_1_2"):
        x = torch.nn.functional.leaky_relu(leaves[array] @ torch.cat([x, one]), 0.1)
    y = leaves["w_out"] @ torch.cat([x, one])
    (-(y.log_softmax(0) * lab.targets[0, 0]).sum()).backward()
    for array, leaf in leaves.items():
        assert leaf.grad is not None
        cosine = float((dW[array] * leaf.grad).sum() / dW[array].norm() / leaf.grad.norm())
        assert cosine > 0.9, (array, cosine)


# ---- decorrelation ----


ROWS = {"name": "digits", "mode": "rows", "steps": 16, "window": 8, "test_size": 20}


@pytest.mark.parametrize(
    ("groups", "changes"),
    [
        (("hidden_1", "hidden_2"), {"rule.decorrelation.inputs": False}),
        (("input", "hidden_1", "hidden_2"), {"task": ROWS}),
    ],
    ids=["still images, layers", "rows, inputs as well"],
)
def test_off_diagonals_go_to_zero_in_a_feed_forward_network(groups, changes):
    """The fixed point of D <- D - lr offdiag(C) D on one batch, all groups at once; no unit is switched off."""
    trainer = made({
        "rule.reference": "silent", "rule.presynaptic": "mean", "training.batch": 50, "compute.dtype": "float64",
        "network.layers": [{"units": n, "recurrent": False} for n in (6, 5)], "rule.decorrelation.lr": 0.25,
        **noise("gaussian", "", 1e-3), **changes,
    })  # fmt: skip
    trainer.write({name: 4 * W for name, W in trainer.substrate.weights.items()})  # activity of about 1
    lab = trainer.lab()

    def moments():
        now = trainer.lab()
        chunk = next(iter(now.run(trainer.learner.plan, "all")))
        x = {"input": lab.source.flatten(0, 1)}
        x |= {name: layer.x[:, 0].flatten(0, 1) for name, layer in chunk.activities.items()}
        return {name: (z := x[name] @ D.T).T @ z / len(z) for name, D in matrices(now).items()}

    def off(C):
        return float((C - C.diag().diag()).norm() / C.norm())

    before = moments()
    for _ in range(300):
        now = trainer.lab()
        trainer.substrate.decorrelate(trainer.learner.learn(trainer.learned, now)[1].decorrelation)
    after = moments()
    assert set(after) == set(groups)
    for name, C in after.items():
        assert off(C) < 0.1 * off(before[name]), (name, off(before[name]), off(C))
        alive = before[name].diag() > 1e-3
        assert float((C.diag() / before[name].diag())[alive].min()) > 1e-2


# ---- how it runs ----


@pytest.mark.parametrize("name", NOISES)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(name, trace):
    changes = {**noise(name, trace), "rule.decorrelation.lr": 0.01, "optimizer.lr": 1e-2}
    whole, first, second = (made(changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())
    for group, n in GROUPS.items():
        D = whole.state_dict()[f"substrate/decorrelation/{group}"]
        assert D.shape == (n, n)
        assert float((D - torch.eye(n)).abs().max()) > 1e-4


@pytest.mark.parametrize("name", ["bernoulli", "centred_bernoulli"])
@pytest.mark.parametrize("rule", [{"presynaptic": "first"}, {"reference": "mean", "K": 3}, {"readout": "delta"}])
def test_the_compiled_update_has_this_noise_and_no_gaussian(name, rule):
    base = {
        "task": {"name": "copy", "length": 3, "delay": 2, "symbols": 2, "test_size": 4}, "network": {"hidden": 9},
        "rule": {"name": "anp", **rule}, "perturbation": {"name": name, "sigma": 0.1, "output": 0.2},
        "training": {"updates": 3, "batch": 3, "controls": False},
    }  # fmt: skip
    updates = []
    for general in (False, True):
        trainer = build_trainer(Experiment.of(configure(base)))
        assert isinstance(trainer.learner, PassLearner)
        learner, lab = (General(trainer.learner.rule) if general else trainer.learner), trainer.lab()
        assert general or (trainer.learner.form(lab) is not None and plain(lab))
        updates.append(learner.learn(trainer.learned, lab)[1].arrays)
    for array, dW in updates[0].items():
        torch.testing.assert_close(dW, updates[1][array], rtol=2e-4, atol=2e-5 * float(dW.abs().max()))
    chunk = next(iter(trainer.lab().run(trainer.learner.plan, "noise")))
    low = 0.0 if name == "bernoulli" else -0.1
    assert sorted(chunk.noise["hidden"].unique().tolist()) == close([low, low + 0.2], rel=1e-6)
    assert isinstance(trainer.backend, RateBackend)


def test_the_first_pass_is_presynaptic_where_it_is_asked_for():
    """Of one step the arrays into the first layer see data alone; those above see what the layer below did."""
    one, both = (made({**noise("gaussian", "", 0.3), "rule.presynaptic": which}) for which in ("first", "mean"))
    first, mean = (each.learner.learn(each.learned, each.lab())[1].arrays for each in (one, both))
    torch.testing.assert_close(first["w_in"], mean["w_in"], rtol=1e-5, atol=1e-6 * float(mean["w_in"].abs().max()))
    assert float((first["w_1_2"] - mean["w_1_2"]).norm() / mean["w_1_2"].norm()) > 0.02


def test_a_still_image_is_one_step_of_chip_time_for_each_pass(tmp_path):
    config = configure(SMALL, {"profile": "smtj_koenders", "training.updates": 3, "training.batch": 5})
    result = launch(config, tmp_path).result
    assert result["passes"] == 2 * 3
    assert 0 <= result["score"] <= 1


SILENT = "a pass that is noise-free (rule.reference: silent)"
BOTH = "passes of both signs (rule.reference: antithetic)"
RUNNING = "a running average (rule.reference: running)"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "anp", "reference": "silent"}, SILENT),
        ({"name": "anp", "preset": "paper"}, SILENT),
        ({"name": "anp", "reference": "antithetic"}, BOTH),
        ({"name": "np", "reference": "silent"}, SILENT),
        ({"name": "np", "reference": "running"}, RUNNING),
        ({"name": "inp"}, SILENT),
        ({"name": "inp", "reference": "antithetic"}, BOTH),
    ],
)
def test_noise_with_a_mean_is_refused_where_that_does_not_cancel(rule, said):
    change = {"rule": rule, "perturbation": {"name": "bernoulli"}, "task": "copy", "network": {"hidden": 5}}
    with pytest.raises(InputError) as caught:
        configure(change)
    text = "\n".join([caught.value.message, *caught.value.problems])
    assert said in text
    assert "perturbation.name: 'bernoulli' is 0 or a step up" in text
    configure({**change, "perturbation": {"name": "centred_bernoulli"}})


@pytest.mark.parametrize("rule", [
    {"name": "anp"}, {"name": "anp", "reference": "mean"}, {"name": "anp", "reference": "running"}, {"name": "np"},
    {"name": "np", "reference": "mean"}, {"name": "inp", "reference": "two"}, {"name": "echo"}, {"name": "bptt"},
])  # fmt: skip
def test_noise_with_a_mean_goes_with_passes_that_have_it_in_common(rule):
    configure({"rule": rule, "perturbation": {"name": "bernoulli"}, "task": "copy", "network": {"hidden": 5}})


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "centred_bernoulli"])
def test_noise_on_units_is_refused_to_a_rule_that_moves_weights(name):
    with pytest.raises(InputError, match=f"'{name}' is noise on the units, and rule 'wp' moves weights"):
        configure({"rule": "wp", "perturbation": {"name": name}, "task": "copy"})


def test_the_record_says_which_noise_there_was(tmp_path):
    config = configure(SMALL, {**noise("bernoulli", ""), "training.updates": 1})
    found = launch(config, tmp_path)
    said = "perturbation: Bernoulli (0 or 2 sigma), sigma 0.02 on the pre-activations (hidden and output)"
    assert said in found.manifest["log"]
