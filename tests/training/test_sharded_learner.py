"""Updates in shards: what each is, what their mean is, and that nobody sees who did which."""

import hashlib
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neuroanp.api import train
from neuroanp.baselines.network import rate_outputs
from neuroanp.errors import InputError, RunError
from neuroanp.learning.anp import ANP
from neuroanp.training import crew, sharded_learner, sums, told_outputs
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crews import crew_of
from neuroanp.training.estimate import memory_of
from neuroanp.training.launch import launch
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.sharded_learner import ShardedLearner, Shards
from neuroanp.training.sharding import usual_shards
from neuroanp.trajectory import Weights
from tests.close import close

from .test_resume import same

TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
SMALL = {
    "task": TASK, "network": {"hidden": 6}, "training": {"updates": 60, "batch": 3, "controls": False},
    "compute": {"shards": 3},
}  # fmt: skip
RULES = {
    "two": {"name": "anp", "preset": "default", "reference": "two", "K": 6},
    "mean": {"name": "anp", "preset": "inferred", "K": 9},
    "silent": {"name": "anp", "preset": "default", "reference": "silent", "K": 6},
    "smtj": {"name": "anp", "preset": "smtj", "K": 6},
    "identified": {"name": "anp", "preset": "default", "difference": "innovation", "weights": "identified", "K": 6},
    "np": {"name": "np", "reference": "silent", "K": 6},
    "antithetic": {"name": "np", "reference": "antithetic", "K": 6},
    "inp": {"name": "inp", "K": 3},
    "echo": {"name": "echo", "K": 9, "eta": 0.5},
    "echo_rls": {"name": "echo", "K": 9, "readout": "rls"},
}
ADDED = {"perturbation": {"name": "gaussian", "sigma": 0.01}}


def experiment(rule, **changes):
    added = {} if rule["name"] in ("wp", "cdrge") else ADDED  # which move weights
    return Experiment.of(configure({**SMALL, "rule": rule, **added}, changes))


def made(rule, **changes):
    of = experiment(rule, **changes)
    return replace(build_trainer(of), crew=crew_of(of))


def digest(trainer):
    state = trainer.state_dict()
    return hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest()


def after(count, rule, **changes):
    trainer = made(rule, **changes)
    rows = [trainer.step() for _ in range(count)]
    trainer.release()
    return trainer, rows


def sizes(trainer):
    lab = trainer.lab()
    return [*lab.reads], lab.steps, lab.batch


def factored(trainer) -> bool:
    return trainer.learner.factored(trainer.substrate.network, *sizes(trainer))


def told(trainer) -> int:
    return trainer.learner.bytes_told(trainer.learned, trainer.substrate.weights, *sizes(trainer))


# ---- what an update is ----


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_update_is_the_mean_of_estimates_with_noise_of_their_own(rule):
    """Of the arrays that learn by the rule; what outputs are told is averaged before they learn from it."""
    trainer = made(rule, **{"compute.dtype": "float64"})
    learner = trainer.learner
    state, lab = trainer.learned, trainer.lab()
    _, update = learner.learn(state, lab)
    found = [part.found(state, lab)[1] for part in learner.parts]
    assert len({each.diagnostics["loss"] for each in found}) == 3
    assert update.diagnostics["loss"] == close(sum(each.diagnostics["loss"] for each in found) / 3, 1e-12)
    for name in ("w_in", "w"):
        mean = sum(each.arrays[name] for each in found) / 3
        assert update.arrays[name].numpy() == close(mean.numpy(), 1e-9, abs=1e-15 * float(mean.abs().max()))
    assert learner.passes == sum(part.passes for part in learner.parts)


@pytest.mark.parametrize("name", ["echo", "identified"])
def test_what_is_remembered_is_the_mean_of_what_shards_remember(name):
    trainer = made(RULES[name], **{"compute.dtype": "float64"})
    learner, state, lab = trainer.learner, trainer.learned, trainer.lab()
    new, _ = learner.learn(state, lab)
    found = [part.found(state, lab)[0] for part in learner.parts]
    changed = [key for key, x in new.items() if x.ndim]
    assert len(changed) == len([key for key, x in state.items() if x.ndim]) > 0
    for key in changed:
        mean = sum(each[key] for each in found) / 3
        assert float(mean.abs().max()) > 0
        assert new[key].numpy() == close(mean.numpy(), 1e-9, abs=1e-14 * float(mean.abs().max()))


def test_books_hold_what_all_shards_read():
    """As many reads as the same passes without shards, at the same energy but for what other noise makes of it."""
    whole, shards = (made(RULES["two"], profile="pcm", **{"compute.shards": n}) for n in (1, 3))
    before = whole.substrate.ledger.report(), shards.substrate.ledger.report()
    for trainer in (whole, shards):
        trainer.learner.learn(trainer.learned, trainer.lab())
    a, b = whole.substrate.ledger, shards.substrate.ledger
    assert a.reads - before[0]["reads"] == b.reads - before[1]["reads"] > 0
    assert b.energy_J - before[1]["energy_J"] == close(a.energy_J - before[0]["energy_J"], 1e-3)


def test_pairs_of_opposite_noise_are_the_same_pairs_with_and_without_shards():
    """What differs is the presynaptic activity, the mean over fewer passes: of second order in the noise."""
    rule = {"name": "anp", "preset": "default", "reference": "antithetic", "K": 6}
    quiet = {"compute.dtype": "float64", "perturbation.sigma": 1e-5}
    whole = made(rule, **quiet, **{"compute.shards": 1})
    shards = made(rule, **quiet)
    (_, a), (_, b) = (each.learner.learn(each.learned, each.lab()) for each in (whole, shards))
    for name, W in a.arrays.items():
        assert b.arrays[name].numpy() == close(W.numpy(), 1e-4, abs=1e-6 * float(W.abs().max()))


def test_devices_make_other_noise_in_each_shard_where_the_sign_of_what_is_added_is_turned():
    """`of_devices` numbers passes that nobody controls anew: from where those of the shards before end."""
    plans = [PassLearner(ANP(reference="antithetic", K=2), part).plan for part in range(3)]
    of = [stream for plan in plans for stream in plan.of_devices.stream]
    assert of == [*range(12)]
    assert [plan.stream for plan in plans] == [(0, 0, 1, 1), (2, 2, 3, 3), (4, 4, 5, 5)]


def test_the_mean_over_many_updates_is_a_descent_direction():
    """As without shards: in the mean it points along the exact gradient."""
    trainer = made(RULES["two"], **{"rule.K": 60, "compute.dtype": "float64", "training.batch": 8})
    lab = trainer.lab()
    W = {name: x.clone().requires_grad_() for name, x in lab.substrate.weights.items()}
    y = rate_outputs(Weights(W, lab.network), lab.inputs)
    loss = (((y - lab.targets) ** 2).mean(-1) * lab.mask[:, None]).sum()
    exact = torch.autograd.grad(loss, W["w_out"])[0]
    total = torch.zeros_like(exact)
    for update in range(20):
        streams = replace(lab.streams, update=update)
        total += trainer.learner.learn({}, replace(lab, streams=streams))[1].arrays["w_out"]
    cosine = float((total * exact).sum() / (total.norm() * exact.norm()))
    assert cosine > 0.9


# ---- factors in place of matrices ----


@pytest.mark.parametrize("loss", ["step", "trial"])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_factors_make_the_matrices_that_shards_would(monkeypatch, gamma, loss):
    rule = {**RULES["silent"], "gamma": gamma, "loss": loss}
    trainer = made(rule, **{"compute.dtype": "float64", "network.hidden": 40, "training.chunk": 2})
    lab = trainer.lab()
    assert lab.steps > 2
    assert factored(trainer)
    _, by_factors = trainer.learner.learn({}, lab)
    monkeypatch.setattr(ShardedLearner, "factored", lambda *_: False)
    _, by_matrices = trainer.learner.learn({}, lab)
    assert by_factors.diagnostics["loss"] == by_matrices.diagnostics["loss"]
    for name, W in by_matrices.arrays.items():
        assert by_factors.arrays[name].numpy() == close(W.numpy(), 1e-9, abs=1e-13 * float(W.abs().max()))


def test_factors_are_shared_where_they_are_fewer_numbers():
    for hidden, expected in ((4, False), (400, True)):
        trainer = made(RULES["silent"], **{"network.hidden": hidden})
        lab = trainer.lab()
        assert factored(trainer) is expected
        P = sum(W.numel() for W in lab.substrate.weights.values())
        factors = lab.steps * lab.batch * sum(lab.network.lines.values())
        assert told(trainer) == (8 * (factors + 2) if expected else 8 * (P + 3))
    for reference in ({}, {"presynaptic": "first"}):  # each shard has activity of its own
        assert not factored(made({**RULES["two"], **reference}, **{"network.hidden": 400}))


# ---- who does which ----


@pytest.mark.parametrize("name", ["two", *(pytest.param(n, marks=pytest.mark.slow) for n in ("mean", "echo"))])
def test_one_and_two_processes_do_the_same_to_the_bit(name):
    one, rows = after(4, RULES[name])
    two, others = after(4, RULES[name], **{"compute.workers": 2})
    assert rows == others
    assert digest(one) == digest(two)


@pytest.mark.long
@pytest.mark.parametrize("profile", ["ideal", "pcm"])
def test_forty_updates_of_cdrge_are_the_same_for_one_two_and_three_processes(profile):
    rule, options = {"name": "cdrge", "K": 4}, {"compute.shards": 1, "profile": profile}
    assert len({digest(after(40, rule, **options, **{"compute.workers": n})[0]) for n in (1, 2, 3)}) == 1


@pytest.mark.long
@pytest.mark.parametrize("profile", ["ideal", "pcm"])
@pytest.mark.parametrize("name", ["two", "mean", "silent", "smtj", "identified", "antithetic", "echo", "echo_rls"])
def test_forty_updates_are_the_same_for_one_two_and_three_processes(name, profile):
    if profile == "pcm" and name == "antithetic":
        pytest.skip("np must know the noise, which pcm makes")
    digests = {digest(after(40, RULES[name], **{"compute.workers": n, "profile": profile})[0]) for n in (1, 2, 3)}
    assert len(digests) == 1


@pytest.mark.long
@pytest.mark.parametrize("reference", ["silent", pytest.param("two", marks=pytest.mark.long)])
def test_perturbations_of_weights_are_the_same_for_one_two_and_three_processes(reference):
    """On pcm, whose noise is drawn by presentation."""
    rule = {"name": "wp", "K": 4, "reference": reference}
    options = {"profile": "pcm", "compute.shards": 1}
    ran = [after(5, rule, **options, **{"compute.workers": n})[0] for n in (1, 2, 3)]
    for name, W in ran[0].substrate.weights.items():
        assert all(bool((each.substrate.weights[name] == W).all()) for each in ran)
    energies = [each.substrate.ledger.energy_J for each in ran]
    assert energies[1:] == close([energies[0]] * 2, 1e-12)


@pytest.mark.long
def test_in_floating_point_they_differ_by_rounding_alone():
    rule = {"name": "anp", "preset": "default", "reference": "two", "K": 64}
    float_sums = {"compute.shards": 8, "compute.sums": "float", "network.hidden": 64}
    found = [after(5, rule, **float_sums, **{"compute.workers": n})[0].substrate.weights for n in (1, 2, 3)]
    first = found[0]
    assert not all(bool((other[name] == W).all()) for other in found[1:] for name, W in first.items())
    for other in found[1:]:
        for name, W in first.items():
            assert float((other[name] - W).norm() / W.norm()) <= 2e-5


@pytest.mark.slow
def test_books_are_the_same_whoever_did_what():
    """Of pcm, whose reads cost what the lines carry, and converters what they convert."""
    one, two = (after(4, RULES["two"], **{"profile": "pcm", "compute.workers": n})[0] for n in (1, 2))
    assert one.substrate.ledger.report() == two.substrate.ledger.report()
    assert one.substrate.ledger.energy_J > 0


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path):
    """What is begun by two and goes on by three ends as what one did: the number is no part of a run's identity."""
    options = {"profile": "pcm", "training.updates": 12, "training.checkpoint_every": 4, "training.controls": True}
    config = {**SMALL, "rule": RULES["two"]}
    whole = launch(configure(config, options), tmp_path / "whole")

    def stop(event):
        if event["phase"] == "train" and event["update"] >= 5:
            raise RunError("cut")

    with pytest.raises(RunError, match="cut"):
        launch(configure(config, {**options, "compute.workers": 2}), tmp_path / "parts", progress=stop)
    again = launch(configure(config, {**options, "compute.workers": 3}), tmp_path / "parts")
    assert again.path.name == whole.path.name
    assert any("resumed after update" in line for line in again.manifest["log"])
    (a, _), (b, _) = (each.load_checkpoint(each.latest_checkpoint()) for each in (whole, again))
    assert same(a, b)
    for key in ("test_loss", "controls", "energy_J", "chip_time_s", "pulses"):
        assert whole.result[key] == again.result[key], key


OTHERS = ("mean", "silent", "smtj", "identified", "np", "inp", "echo", "echo_rls")


@pytest.mark.parametrize(
    ("name", "sums", "dtype"),
    [
        ("two", "exact", "float32"),
        pytest.param("smtj", "float", "float64", marks=pytest.mark.slow),
        *(pytest.param(name, "exact", "float32", marks=pytest.mark.long) for name in OTHERS),
        *(pytest.param(name, "float", "float64", marks=pytest.mark.long) for name in ("two", *OTHERS)),
    ],
)  # fmt: skip
def test_what_travels_of_an_update_is_what_the_formula_says(name, sums, dtype):
    """A turn of 16 bytes, the sum of the weights and a loss a shard, all losses, and sums there and back."""
    trainer = made(RULES[name], **{"compute.workers": 2, "compute.sums": sums, "compute.dtype": dtype})
    trainer.step()
    hands = trainer.crew
    assert isinstance(hands, crew.Hands)
    before = hands.sent
    trainer.step()
    hands.release()
    assert hands.sent - before == 16 + 8 * (1 + 1) + 8 * 3 + 2 * told(trainer)


# ---- how it is asked for ----


def test_workers_alone_choose_shards_that_do_not_depend_on_their_number(tmp_path: Path):
    config = {**SMALL, "rule": {**RULES["two"], "K": 12}, "compute": {}, "training": {"updates": 1, "controls": False}}
    found = [train(config, workers=n, runs=tmp_path / str(n), report=False, progress=False) for n in (1, 2)]
    assert [run.config.compute.shards for run in found] == [2, 2]
    assert len({run.path.name for run in found}) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compute.shards": 4}, "compute.shards: 4 must divide rule.K, 6; possible with this rule.K: 2, 3, 6"),
        ({"rule": RULES["mean"], "compute.shards": 9}, "9 must divide rule.K, 9, and each its K of 3 at least"),
        ({"rule": {"name": "bptt"}}, "3 are of the replicas of 'anp', 'np' and 'echo'; leave it out"),
        ({"rule.K": 1}, "3 must divide rule.K, 1; it can have none"),
        ({"compute.shards": 1, "compute.sums": "float"}, "'float' is of shards, and compute.shards is 1"),
        ({"compute.shards": 1, "compute.workers": 2}, "the shards of an update; set compute.shards (2, 3, 6)"),
        ({"compute.workers": 4}, "compute.workers: 4, and an update has 3 shards to share"),
        ({"rule.reference": "running", "rule.K": 1}, "with reference 'running' an update has one pass"),
        ({"rule": {"name": "bptt"}, "compute.shards": 1, "compute.workers": 2}, "updates of this 'bptt' cannot"),
        ({"task": {"name": "cartpole"}, "training.updates": 1}, "shards"),
    ],
)  # fmt: skip
def test_what_cannot_be_divided_or_shared_is_refused(changes, said, tmp_path: Path):
    with pytest.raises(InputError) as error:
        launch(configure({**SMALL, "rule": RULES["two"]}, changes), tmp_path)
    assert said in "\n".join([str(error.value), *error.value.problems])


@pytest.mark.parametrize(("K", "shards"), [(1, 1), (2, 2), (8, 2), (16, 2), (24, 3), (64, 8), (1024, 8)])
def test_the_usual_shards_have_eight_replicas_where_there_are_as_many(K, shards):
    """Shards of few passes take longer a pass."""
    assert usual_shards(ANP(K=K, reference="two")) == shards


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [("two", 2), ("silent", 1), ("echo", 1), ("echo_rls", 2)])
def test_what_shards_found_is_held_as_estimated(name, workers, monkeypatch):
    """What each found at its own size; whole numbers of 8 bytes once, or thrice where a message comes and goes."""
    held, arrays = [], []

    def counted(parts, *rest):
        arrays.append(len(parts[0]))
        held.append(sum(x.numel() * x.element_size() for part in parts for x in part.values()))
        return sums.mean_of(parts, *rest)

    monkeypatch.setattr(sharded_learner, "mean_of", counted)
    trainer, _ = after(1, RULES[name], **{"compute.workers": workers})
    names, steps, batch = sizes(trainer)
    network, heard = trainer.substrate.network, 0
    if factored(trainer):
        heard = sum(network.shapes[key][1] for key in names) * steps * batch * 4
    found = trainer.learner.bytes_held(trainer.learned, trainer.substrate.weights, steps, batch, workers)
    numbers = (told(trainer) - 8 * arrays[0]) // 8
    assert found == held[0] + 8 * numbers * (1 if workers == 1 else 3) + heard
    estimated = memory_of(experiment(RULES[name], **{"compute.workers": workers}))["shards"]
    assert estimated == found


def test_a_shard_more_of_factors_keeps_no_activity_of_its_own(monkeypatch):
    """Presynaptic activity is that of the pass without noise, the same in all: one shard's is enough."""
    alive = weakref.WeakSet()

    class Counted(sharded_learner.Factors):
        def __init__(self, *args):
            super().__init__(*args)
            alive.add(self)

    most = []

    def counted(*args):
        most.append(len(alive))
        return sums.mean_of(*args)

    monkeypatch.setattr(sharded_learner, "Factors", Counted)
    monkeypatch.setattr(sharded_learner, "mean_of", counted)
    trainer, _ = after(1, RULES["silent"], **{"network.hidden": 400})
    assert factored(trainer)
    assert most == [2]  # the first, and the last one, whose name is still in use


def test_outputs_that_infer_their_errors_count_the_differences_of_all_shards(monkeypatch):
    """The mean of S shards of K differences each is about as true as S K differences: a block counts so often."""
    counted = []
    monkeypatch.setattr(told_outputs, "block_counts", lambda outputs, K: (counted.append((outputs, K)), 1.0)[1])
    trainer = made(RULES["mean"])
    trainer.step()
    assert counted == [(trainer.substrate.network.outputs, 9)]


def test_one_shard_is_not_written_out():
    plain = configure({**SMALL, "compute": {}}).to_plain()["compute"]
    assert not {"shards", "sums", "workers"} & set(plain)


def test_a_shard_is_the_rule_with_its_part_of_the_replicas():
    learner = ShardedLearner(Shards(ANP(K=6, reference="mean"), 2, "exact"))
    assert [part.rule.K for part in learner.parts] == [3, 3]
    assert learner.passes == 8
