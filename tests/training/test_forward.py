"""What a run hands out is the network that was scored: weights, predictions and held-out sequences."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp import api
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.noise import Streams
from neuroanp.profiles import available
from neuroanp.records.run_dir import RunDir
from neuroanp.tasks.encoding import Encoded
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.presented import as_inputs
from neuroanp.training.revisit import Look, revisit
from tests.close import close

TINY = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 4, "batch": 2, "checkpoint_every": 2, "evaluate_every": 4, "controls": False},
    "optimizer": {"lr": 0.05},
}
SPIKING = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}}
SPIKES_IN = {"encoder.hold": 4, "encoder.name": "poisson", "encoder.rate": "500 Hz", "neuron.input_gain": 6.0}
EXACT = {"hardware.without": ["dac", "adc", "adc_mismatch"]}

FAST = {
    "ideal": {"profile": "ideal"},
    "pcm": {"profile": "pcm"},
    "pulses": {"profile": "rram_hfo2", "hardware.write": "pulse"},
    "junctions": {"profile": "smtj_koenders"},
    "flash": {"profile": "sonos_flash", "network.bias": True},
    "mismatch": {"profile": "cmos_subthreshold"},
    "decorrelated": {"profile": "pcm", "rule.decorrelation.lr": 0.2, "network.bias": True},
    "lif": {"profile": "pcm", **SPIKING},
    "loihi": {"profile": "ideal", "target": "loihi", "neuron.drive": 4.0, **SPIKES_IN},
}
SLOW = {
    **{name: {"profile": name} for name in available()},
    **{f"{name}-lif": {"profile": name, **SPIKING} for name in ("smtj_telegraph", "mixed_signal_neurons", "rram_rtn")},
    "float64": {"profile": "pcm", "compute.dtype": "float64", "training.chunk": 2},
    "sampled": {"profile": "rram_rtn", "hardware.read": "sampled"},
    "white-sampled": {"profile": "photonic", "hardware.read": "sampled"},
    "wires": {"profile": "pcm_tiles", "hardware.wires": "exact", "network.bias": True},
    "held-steps": {"profile": "ideal", "encoder": "current", "encoder.hold": 3},
    "population": {"profile": "pcm", "encoder": "population", **SPIKING},
    "poisson": {"profile": "pcm", **SPIKING, **SPIKES_IN},
    "latency": {"profile": "sram_cim", "encoder": "latency", "encoder.hold": 20, **SPIKING},
    "count": {"profile": "pcm", "neuron.decoder": "count", "network.bias": True, **SPIKING},
    "xylo": {"profile": "smtj_koenders", "target": "xylo", "network.bias": True, "neuron.drive": 4.0, **SPIKES_IN},
    "bptt": {"profile": "pcm", "rule": "bptt"},
    "programmed-later": {"profile": "capacitor", "training.updates": 2, "training.evaluate_after": ["1 s"]},
    "brian2": {"profile": "pcm", **SPIKING, "backend": "spiking"},
}


LIKE = {"ecram", "ecram_mo", "spintronic", "rram_hfo2_om", "fefet"}
"""Profiles whose laws are those of capacitor, rram_hfo2 and photonic, with other numbers: the long tier's."""


def tiers(names):
    return [pytest.param(name, marks=[pytest.mark.long] * (name in LIKE)) for name in names]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that trains a tiny run once for all tests."""
    store, made = tmp_path_factory.mktemp("store"), {}

    def record(name: str, **more) -> RunDir:
        if (name, str(more)) not in made:
            made[name, str(more)] = launch(configure(TINY, {**(FAST | SLOW)[name], **more}), store)
        return made[name, str(more)]

    return record


def content(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def check(record: RunDir) -> None:
    """Held-out inputs give both reported losses and the scores, bit for bit, as `evaluate` does; nothing is written."""
    run, before = api.load_run(record.path), content(record.path)
    batch, result = run.held_out(), run.result
    noisy, silent = run.predict(batch.inputs), run.predict(batch.inputs, noise=False)
    assert noisy.shape == silent.shape == batch.targets.shape
    assert noisy.dtype == np.float64
    assert noisy.any()
    assert batch.loss(noisy) == result["test_loss"]
    assert batch.loss(silent) == result["test_loss_noise_free"]
    assert batch.score(noisy) == record.manifest["scores"]
    row = revisit(record, Look())[0]
    assert (row["test_loss"], row["test_loss_noise_free"]) == (result["test_loss"], result["test_loss_noise_free"])
    np.testing.assert_array_equal(run.predict(batch.inputs), noisy)  # no state is left behind
    assert content(record.path) == before


@pytest.mark.parametrize("name", FAST)
def test_held_out_inputs_give_the_reported_losses(trained, name):
    check(trained(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers(SLOW))
def test_held_out_inputs_give_the_reported_losses_everywhere(trained, name):
    check(trained(name))


@pytest.mark.parametrize("name", ["pcm", "junctions", "lif"])
def test_noise_is_noise_and_can_be_left_out(trained, name):
    """The bits above would also agree if noise never reached an output."""
    run = api.load_run(trained(name).path)
    inputs = run.held_out().inputs
    assert not np.array_equal(run.predict(inputs), run.predict(inputs, noise=False))


def forward(weights, inputs: np.ndarray) -> np.ndarray:
    """What a user writes down: five lines of numpy."""
    W = {name: part.double().numpy() for name, part in weights.items()}
    one = np.ones((inputs.shape[1], int(weights.network.bias)))
    x, outputs = np.zeros((inputs.shape[1], weights.network.hidden)), []
    for u in inputs:
        x = np.tanh(np.hstack([u, one]) @ W["w_in"].T + x @ W["w"].T)
        outputs.append(np.hstack([x, one]) @ W["w_out"].T)
    return np.array(outputs)


def check_plain(record: RunDir) -> None:
    run = api.load_run(record.path)
    weights, batch = run.weights(), run.held_out()
    assert (weights.scored, weights.beside, weights.complete) == (True, (), True)
    expected = run.result["test_loss_noise_free"]
    assert batch.loss(forward(weights, batch.inputs)) == close(expected, rel=2e-5)


@pytest.mark.parametrize("name", ["ideal", "pcm", "pulses", "junctions", "flash", "mismatch"])
def test_without_converters_the_plain_product_of_weights_as_held_is_what_was_scored(trained, name):
    check_plain(trained(name, **EXACT))


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers([*available(), "float64", "sampled", "wires"]))
def test_the_plain_product_is_what_was_scored_on_every_profile(trained, name):
    check_plain(trained(name, **EXACT))


def test_digital_targets_are_another_network_and_say_so(trained):
    run = api.load_run(trained("pcm", **EXACT).path)
    held, targets, batch = run.weights(), run.weights(as_held=False), run.held_out()
    loss = batch.loss(forward(targets, batch.inputs))
    assert loss != close(run.result["test_loss_noise_free"], rel=1e-2)
    assert "as held by pcm after update 4" in held.origin
    assert "what was scored" in repr(held)
    assert (targets.scored, targets.origin) == (False, "digital targets after update 4")
    assert "not what was scored" in repr(targets)
    assert not targets.complete


def test_weights_of_another_update_than_the_result_are_not_what_was_scored(trained, tmp_path):
    path = Path(shutil.copytree(trained("pcm").path, tmp_path / "run"))
    RunDir.open(path).checkpoints()[-1].unlink()
    held = api.load_run(path).weights()
    assert (held.scored, held.complete) == (False, False)
    assert "after update 2" in held.origin
    assert "not what was scored, which was update 4" in repr(held)


def test_weights_of_a_run_without_a_loss_were_not_scored(tmp_path):
    def stop(event):
        if event["phase"] == "evaluate":
            raise KeyboardInterrupt

    with pytest.raises(RunError, match="interrupted at update 4"):
        launch(configure(TINY, {"profile": "pcm"}), tmp_path, progress=stop)
    (path,) = tmp_path.iterdir()
    held = api.load_run(path).weights()
    assert not held.scored
    assert "not known to be what was scored: the run has no result that can be read" in repr(held)


def test_on_an_ideal_device_both_are_the_same(trained):
    run = api.load_run(trained("ideal").path)
    held, targets = run.weights(), run.weights(as_held=False)
    for name, W in targets.items():
        torch.testing.assert_close(held[name], W, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pcm", ["DAC", "ADC"]),
        ("flash", ["DAC", "ADC"]),
        ("ideal", []),
        ("junctions", []),
        ("lif", ["DAC", "ADC", "units are those of backend lif"]),
        ("loihi", ["encoder poisson makes 6 lines of 3 values, 4 steps of each", "units are those of backend loihi"]),
        ("held-steps", ["encoder current makes 3 lines of 3 values, 3 steps of each"]),
    ],
)
def test_what_is_beside_the_weights_is_said(trained, name, said):
    weights = api.load_run(trained(name).path).weights()
    assert len(weights.beside) == len(said)
    for part, line in zip(said, weights.beside, strict=True):
        assert part in line
    if ("DAC" in said and name != "lif") or name == "held-steps":  # and it matters: the plain product scores otherwise
        run = api.load_run(trained(name).path)
        batch = run.held_out()
        assert batch.loss(forward(weights, batch.inputs)) != close(run.result["test_loss_noise_free"], rel=1e-6)


def test_weights_of_a_chip_of_whole_numbers_are_its_numbers(trained):
    """Each row of w_out has its own grid of 256 levels; all three matrices lie on grids, the targets do not."""
    run = api.load_run(trained("loihi").path)
    held, targets = run.weights(), run.weights(as_held=False)
    for name in ("w_in", "w", "w_out"):
        assert len(held[name].unique()) <= 513
        assert not torch.equal(held[name], targets[name])
        torch.testing.assert_close(held[name], targets[name], rtol=0, atol=0.02 * float(targets[name].abs().max()))


def test_one_sequence_is_a_batch_of_one(trained):
    run = api.load_run(trained("pcm").path)
    inputs = run.held_out().inputs
    one = run.predict(inputs[:, 0], noise=False)
    assert one.shape == (len(inputs), 2)
    np.testing.assert_allclose(one, run.predict(inputs, noise=False)[:, 0], rtol=0, atol=1e-5)
    assert run.predict(inputs[:1, :1]).shape == (1, 1, 2)


def test_arrays_tensors_and_lists_are_the_same(trained):
    run = api.load_run(trained("pcm").path)
    inputs = run.held_out().inputs
    whole = run.predict(inputs)
    for given_ in (inputs.tolist(), torch.from_numpy(inputs), inputs.astype(np.float32), np.asfortranarray(inputs)):
        np.testing.assert_array_equal(run.predict(given_), whole)
    inputs.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(run.predict(inputs), whole)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((4, 2, 5)), "5 values a step, the network takes 3"),
        (np.zeros(3), r"1 dimensions, neither \(T, B, 3\) nor \(T, 3\)"),
        (np.zeros((0, 2, 3)), "no step or no sequence"),
        (np.zeros((2, 0, 3)), "no step or no sequence"),
        (np.full((2, 1, 3), np.nan), r"6 of 6 numbers are not finite, the first at \[0, 0, 0\]"),
        (np.full((2, 1, 3), 1e300), "not finite in float32"),
        (np.zeros((2, 3), complex), "complex numbers are no real numbers"),
        ([[1.0, 2.0, 3.0], [1.0]], "no table of numbers"),
        ([["a", "b", "c"]], "no real numbers"),
        (None, "inputs: None is no table of numbers"),
        (np.full((2, 3), None), "inputs: Python objects are no table of numbers"),
        ("x.csv", "x.csv: no such file"),
        (b"x.csv", "no real numbers"),
        (np.ma.masked_equal(np.zeros((2, 3)), 0), "masked"),
    ],
)
def test_inputs_that_cannot_be_presented_are_refused(trained, inputs, words):
    with pytest.raises(InputError, match=words):
        api.load_run(trained("ideal").path).predict(inputs)


def test_all_that_is_wrong_with_inputs_is_said_at_once():
    with pytest.raises(InputError) as caught:
        as_inputs(np.full((0, 2, 5), np.nan), 3)
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError) as caught:
        as_inputs(np.array([[np.inf, 0.0]]), 3)
    assert len(caught.value.problems) == 2


@settings(max_examples=30)
@given(shape=st.lists(st.integers(0, 3), max_size=4), width=st.integers(1, 3))
def test_every_shape_is_taken_or_refused(shape, width):
    good = len(shape) in (2, 3) and 0 not in shape and shape[-1] == width
    given_ = np.zeros(shape)
    if good:
        assert as_inputs(given_, width)[0].ndim == 3
    else:
        with pytest.raises(InputError):
            as_inputs(given_, width)


def test_answers_that_are_no_answers_are_refused(trained):
    run = api.load_run(trained("ideal").path)
    batch = run.held_out()
    with pytest.raises(InputError, match="noise: 'no' is neither True nor False"):
        run.predict(batch.inputs, noise="no")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="as_held: 'targets' is neither"):
        run.weights("targets")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"outputs: shape \(2, 2\), the held-out targets have"):
        batch.loss(np.zeros((2, 2)))
    for ask in (batch.loss, batch.score):
        for given_ in ("x", None, [["a"]], [[1.0], [1.0, 2.0]], np.zeros(batch.targets.shape, complex)):
            with pytest.raises(InputError, match=r"outputs: .*give an array \(T, B, O\)"):
                ask(given_)
    answers = torch.from_numpy(batch.targets).requires_grad_()
    assert batch.loss(answers) == batch.loss(batch.targets)


def test_spikes_of_held_out_values_are_the_held_out_spikes():
    experiment = Experiment.of(configure(TINY, {"profile": "pcm", **SPIKING, **SPIKES_IN}))
    task = experiment.task
    assert isinstance(task, Encoded)
    batch = task.test(Streams(0).generator("test"))
    assert batch.raw is not None
    assert batch.inputs.any()
    np.testing.assert_array_equal(task.lines(batch.raw.inputs, Streams(0).generator("test")), batch.inputs)


def test_values_of_the_task_are_asked_for_not_its_spikes(trained):
    """A run with an encoder takes and gives the task's own steps."""
    run = api.load_run(trained("loihi").path)
    batch = run.held_out()
    assert batch.inputs.shape == (5, 8, 3)
    with pytest.raises(InputError, match="6 values a step, the network takes 3"):
        run.predict(np.zeros((20, 8, 6)))


def test_an_interrupted_run_predicts_from_its_last_checkpoint(tmp_path):
    def stop(event):
        if event["update"] >= 3:
            raise KeyboardInterrupt

    wanted = configure(TINY, {"profile": "pcm", "training.updates": 400})
    with pytest.raises(RunError, match="interrupted"):
        launch(wanted, tmp_path, progress=stop)
    (path,) = (path for path in tmp_path.iterdir() if path.is_dir())
    run = api.load_run(path)
    batch = run.held_out()
    row = revisit(run.record, Look())[0]
    assert 0 < row["update"] < 400
    assert batch.loss(run.predict(batch.inputs)) == row["test_loss"]
    assert f"after update {row['update']}" in run.weights().origin


def test_a_diverged_run_predicts_from_what_it_had(tmp_path):
    with pytest.raises(DivergedError) as caught:
        launch(configure(TINY, {"rule": "anp", "optimizer.name": "sgd", "optimizer.lr": 1e3, "optimizer.clip": None,
                                "training.checkpoint_every": 1, "training.updates": 60}), tmp_path)  # fmt: skip
    assert caught.value.path is not None
    run = api.load_run(caught.value.path)
    assert run.predict(run.held_out().inputs).shape == (5, 8, 2)


def test_the_profile_s_file_may_be_gone(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: pcm\nmeta: {name: mine, summary: s, source: bench, status: illustrative}\n")
    record = launch(configure(TINY, {"profile": str(mine)}), tmp_path / "runs")
    mine.unlink()
    check(record)


def test_what_is_missing_is_said(trained, tmp_path):
    record = trained("pcm")
    bare = RunDir.create(tmp_path, "bare", record.config_text, {**record.manifest, "status": "running"})
    run = api.load_run(bare.path)
    for look in (run.held_out, run.weights, lambda: run.predict([[0.0] * 3])):
        with pytest.raises(InputError, match="no checkpoint is there; make one with: neuroanp resume"):
            look()
    bare.save_checkpoint(4, record.load_checkpoint(record.checkpoints()[-1])[0], {})
    bare.update(data="another")
    with pytest.raises(InputError, match="its data have changed"):
        api.load_run(bare.path).predict([[0.0] * 3])
    bare.update(data=record.manifest["data"], profile={})
    with pytest.raises(InputError, match="it holds no profile"):
        api.load_run(bare.path).held_out()


def changed_twice(record: RunDir, folder: Path, old: str, new: str) -> api.Run:
    """A copy of a run whose configuration, and its copy, say something else."""
    path = Path(shutil.copytree(record.path, folder / "run"))
    for place in (path, path / "copies"):
        text = (place / "config.yaml").read_text()
        assert old in text
        (place / "config.yaml").write_text(text.replace(old, new, 1))
    return api.load_run(path)


def test_another_configuration_is_not_scored_as_the_run(trained, tmp_path):
    """It is another task, or another network, with the weights of this one."""
    run = changed_twice(trained("pcm"), tmp_path, "length: 2", "length: 3")
    for look in (
        run.held_out,
        run.weights,
        lambda: run.predict([[0.0] * 3]),
        lambda: revisit(run.record, Look()),
        lambda: run.export("onnx", tmp_path / "out"),
    ):
        with pytest.raises(InputError, match=r"config.yaml: says another run than the one that was made; put back"):
            look()


def test_a_comment_in_a_configuration_is_no_other_run(trained, tmp_path, caplog):
    run = changed_twice(trained("pcm"), tmp_path, "task:", "# mine\ntask:")
    batch = run.held_out()
    assert batch.loss(run.predict(batch.inputs)) == run.result["test_loss"]
    assert "config.yaml: not as it was written" in caplog.text
