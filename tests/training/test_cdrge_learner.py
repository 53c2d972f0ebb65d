"""CD-RGE in whole runs: on top of what devices hold, page by page in the books, and shared by processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from neuroanp.errors import InputError, RunError
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.protocol import TASKS
from neuroanp.training import crew as crews
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crews import crew_of
from neuroanp.training.described import describe
from neuroanp.training.estimate import memory_of
from neuroanp.training.lab import Lab
from neuroanp.training.launch import launch
from neuroanp.training.processes import Child

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "network": {"hidden": 5},
    "rule": {"name": "cdrge", "K": 3},
    "training": {"updates": 20, "batch": 3, "controls": False},
}
LAYERS = {"layers": [{"cell": "lstm", "units": 4}, {"cell": "tanh", "units": 3}]}


def made(**changes):
    experiment = Experiment.of(configure(SMALL, changes))
    return replace(build_trainer(experiment), crew=crew_of(experiment))


def steps(trainer, count):
    """Do some updates and end the processes that share them, as a run does at its end."""
    rows = [trainer.step() for _ in range(count)]
    trainer.release()
    return rows


def test_it_comes_on_top_of_what_the_arrays_hold():
    """Of PCM, which errs and drifts: each presentation reads W +- eps z, its noise and converters as they are."""
    trainer = made(profile="pcm")
    trainer.step()
    lab, seen = trainer.lab(), []
    run = lab.backend.run

    def noted(request):
        seen.append((request, request.reads["w"].W.clone()))
        return run(request)

    lab.backend.run = noted  # pyright: ignore
    before, held = trainer.substrate.ledger.report(), lab.reads["w"].W.clone()
    trainer.learner.learn({}, lab)
    after = trainer.substrate.ledger.report()
    assert [request.plan.stream for request, _ in seen] == [(k,) for k in range(6)]
    assert [request.plan.noise for request, _ in seen] == [(1.0,)] * 6
    eps = torch.tensor(1e-3)
    for up, down in zip(seen[::2], seen[1::2], strict=True):
        z = torch.sign(up[1] - held)
        assert torch.equal(up[1], held + eps * z)
        assert torch.equal(down[1], held - eps * z)
        assert 5 < int((z > 0).sum()) < 20  # of 25
    for request, _ in seen:
        read, own = request.reads["w"], lab.reads["w"]
        assert read.sigma2 is own.sigma2
        assert (read.dac, read.adc) == (own.dac, own.adc)
    assert torch.equal(lab.reads["w"].W, held)
    assert after["reads"] - before["reads"] == 3 * 3 * trainer.task.steps * 6  # arrays x sequences x steps x passes
    assert after["energy_J"] > before["energy_J"]
    assert (after["pulses"], after["wear"]) == (before["pulses"], before["wear"])


def test_books_by_pages_are_the_books(monkeypatch):
    """The same sums as of presentations that are booked at once, to rounding."""
    paged, plain = (made(profile="rram_hfo2") for _ in range(2))
    paged.step()
    monkeypatch.setattr(Lab, "page", lambda lab: nullcontext())
    plain.step()
    found, expected = (trainer.substrate.ledger.state_dict() for trainer in (paged, plain))
    assert expected["counts"].count_nonzero() > 2
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_a_presentation_that_fails_leaves_the_books_where_they_were():
    trainer = made()
    books, lab = trainer.substrate.ledger, trainer.lab()
    lab.backend.run = lambda request: 1 / 0  # pyright: ignore
    with pytest.raises(ZeroDivisionError):
        trainer.learner.learn({}, lab)
    assert trainer.substrate.ledger is books


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rule.estimator": "1.5-spsa"},
        {"network": LAYERS},
        {"profile": "rram_hfo2"},
        {"profile": "pcm"},
        {"backend": "lif", "neuron": "lif", "dt": "1 ms", "rule.eps": 1e-2},
    ],
    ids=["central", "curvature", "lstm", "rram", "pcm", "lif"],
)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(changes):
    whole, first, second = (made(**changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())


@pytest.mark.parametrize("estimator", ["cd-rge", "1.5-spsa"])
def test_it_lowers_the_loss(tmp_path: Path, estimator):
    central = estimator == "cd-rge"
    options = {"training.updates": 50, "optimizer.lr": 4e-2, "rule.K": 8, "rule.estimator": estimator}
    record = launch(configure(SMALL, {**options, "training.controls": central}), tmp_path)
    assert record.result["passes"] == 50 * (16 if central else 17)
    assert not central or {"ridge", "refit", "frozen_recurrence"} <= set(record.result["controls"])
    losses = record.metrics()["train_loss"]
    assert losses[-1] < 0.5 * losses[1]
    assert any("weights, each by + or - 0.001 digitally" in line for line in record.manifest["log"])
    assert not any("nothing perturbs the units" in line for line in record.manifest["log"])


def test_an_eps_that_float32_rounds_away_is_warned_of():
    def warned(**changes) -> bool:
        _, lines = describe(Experiment.of(configure(SMALL, changes)))
        return any("rule.eps 1e-07 is near the rounding of float32" in line for line in lines)

    small = {"rule.eps": 1e-7}
    assert warned(**small)
    assert not warned(**small, **{"compute.dtype": "float64"})
    assert not warned()


# ---- processes that share the probes ----


def test_two_processes_do_the_same_to_the_bit_and_one_that_is_not_alike_ends_the_run():
    """Weights, books and rows; what goes to and fro."""
    alone, shared = made(), made(**{"compute.workers": 2})
    rows = [alone.step() for _ in range(4)]
    assert [shared.step() for _ in range(4)] == rows
    assert same(shared.state_dict(), alone.state_dict())
    assert shared.substrate.ledger.report() == alone.substrate.ledger.report()
    # losses alone: of 1 of 3 probes to the first process, of all of them back, and 24 bytes beside
    assert cast("Any", shared.crew).sent == 4 * (24 + 8 * 2 * 1 + 8 * 2 * 3)
    shared.write({"w": shared.substrate.weights["w"] + 0.5})  # behind the back of the other process
    with pytest.raises(RunError, match="worker 1 of 2 no longer holds the same weights"):
        shared.step()
    assert not cast("Any", shared.crew)._children


@pytest.mark.slow
def test_two_processes_share_devices_that_drift_and_pages_of_the_books():
    """Weights, devices, books and rows; from what one process left after two updates."""
    changes = {"profile": "pcm", "rule.estimator": "1.5-spsa", "network": LAYERS}
    alone, shared = made(**changes), made(**changes, **{"compute.workers": 2})
    steps(alone, 2)
    shared.load_state_dict({name: value.clone() for name, value in alone.state_dict().items()})
    assert steps(shared, 2) == steps(alone, 2)
    assert same(shared.state_dict(), alone.state_dict())
    assert shared.substrate.ledger.report() == alone.substrate.ledger.report()


def test_pages_travel_where_they_depend_on_what_was_presented():
    """Currents of word lines, converters that clip, and spikes; where nobody looks at the books nothing does."""
    lif = {"backend": "lif", "neuron": "lif", "dt": "1 ms"}
    cases = [{}, {"profile": "pcm"}, {"profile": "pcm", "hardware.without": ["adc", "dac"]}, lif]
    assert [crews.by_page(made(**changes)) for changes in cases] == [False, True, True, True]
    assert not crews.by_page(replace(made(profile="pcm"), books=False))


def test_a_process_that_dies_before_it_hears_its_orders_says_why(monkeypatch):
    """Orders longer than a pipe holds: what it wrote, not that the pipe broke."""
    monkeypatch.setattr(crews, "START", "raise SystemExit('no such library')")
    monkeypatch.setattr(crews, "pack_tensors", lambda tensors, facts: bytes(1 << 22))
    with pytest.raises(RunError, match="a worker process of the run ended with exit code 1: no such library"):
        made(**{"compute.workers": 2}).step()


@pytest.mark.slow
def test_a_process_that_dies_is_told_of():
    trainer = made(**{"compute.workers": 2})
    trainer.step()
    child = cast("Any", trainer.crew)._children[0].process
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with pytest.raises(RunError, match=r"a worker process of the run was killed \(SIGKILL\).*lower compute.workers"):
        trainer.step()


@pytest.mark.slow
def test_a_process_that_cannot_build_its_copy_says_why(monkeypatch):
    start = crews.START.replace("import serve;", "import serve; import neuroanp.training.crew_member as m; "
                                "m.build_trainer = lambda *_: 1 / 0;")  # fmt: skip
    assert start != crews.START
    monkeypatch.setattr(crews, "START", start)
    with pytest.raises(RunError, match=r"compute\.workers: a worker cannot build its copy: division by zero"):
        made(**{"compute.workers": 2}).step()


ORPHAN = """
import os, sys, time
from dataclasses import replace
from neuroanp.training.crews import crew_of
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
config = configure({small}, {{"compute.workers": 2}})
experiment = Experiment.of(config)
trainer = replace(build_trainer(experiment), crew=crew_of(experiment))
trainer.step()
print(trainer.crew._children[0].process.pid, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Whether a process is no more, or a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_process_outlives_the_run_that_started_it():
    """The run is killed, and has no chance to end what it started."""
    words = [sys.executable, "-c", ORPHAN.format(small=SMALL)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        other = int(run.stdout.readline())
        assert not gone(other)
        run.kill()
        run.wait()
        for _ in range(300):
            if gone(other):
                break
            time.sleep(0.1)
    assert gone(other)


@pytest.mark.slow
def test_a_run_of_two_processes_is_the_run_of_one(tmp_path: Path):
    """With its controls, its evaluations and validation, which moves the chip's clock between updates; resumed, too."""
    options = {"profile": "pcm", "training.updates": 6, "training.evaluate_every": 2, "training.validation": 4,
               "training.controls": True}  # fmt: skip
    one = launch(configure(SMALL, options), tmp_path / "one")
    two = launch(configure(SMALL, {**options, "compute.workers": 2}), tmp_path / "two")
    assert one.path.name == two.path.name  # no bit depends on the number of workers
    for key in ("test_loss", "controls", "energy_J", "chip_time_s", "pulses", "passes"):
        assert one.result[key] == two.result[key], key
    (a, _), (b, _) = (each.load_checkpoint(each.latest_checkpoint()) for each in (one, two))
    assert same(a, b)


@pytest.mark.slow
def test_whoever_forgets_to_end_them_is_no_harm():
    trainer = made(**{"compute.workers": 2})
    trainer.step()
    child: Child = cast("Any", trainer.crew)._children[0]
    del trainer
    assert child.process.wait(60) is not None


# ---- what cannot be ----


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"perturbation": {"name": "gaussian"}}, "'gaussian' is noise on the units, and rule 'cdrge' moves weights"),
        ({"backend": "loihi", "dt": "1 ms"}, "'cdrge' moves weights by less than backend 'loihi' resolves"),
        ({"compute.workers": 4}, "compute.workers: 4, and an update has 3 probes to share"),
        (
            {"compute.workers": 2, "rule": {"name": "wp", "draw": "step"}, "profile": "ideal"},
            "compute.workers: 2, and updates of this 'wp' cannot be shared: processes share the probes of 'cdrge'",
        ),
        ({"compute.workers": 2, "compute.device": "cuda"}, "2 are processes of the CPU"),
        ({"network.hidden": 3_000_000}, "network.hidden"),
    ],
    ids=["gaussian", "loihi", "many", "wp", "cuda", "size"],
)
def test_where_it_makes_no_sense_it_is_refused(changes, said, tmp_path: Path):
    with pytest.raises(InputError) as error:
        launch(configure(SMALL, changes), tmp_path)
    assert said in "\n".join([str(error.value), *error.value.problems])
    assert not [*tmp_path.iterdir()]


def test_what_only_this_process_knows_is_not_shared(tmp_path: Path, monkeypatch):
    class Options(CopyConfig):
        """Of this process alone."""

    class CopyHere(Copy):
        """Copy, by a name that no other process knows."""

        config = Options

    monkeypatch.setitem(TASKS._registered, "copy_here", CopyHere)
    changes = {"task": {"name": "copy_here"}, "compute.workers": 2}
    with pytest.raises(InputError, match=r"compute\.workers: copy_here is registered in this process alone"):
        launch(configure({**SMALL, "task": {}}, changes), tmp_path)


def test_one_worker_is_not_written_out():
    assert "workers" not in configure(SMALL).to_plain()["compute"]
    assert configure(SMALL, {"compute.workers": 2}).to_plain()["compute"]["workers"] == 2


def test_memory_does_not_grow_with_time_nor_probes():
    def memory(**changes):
        found = memory_of(Experiment.of(configure(SMALL, {"network.hidden": 300, **changes})))
        return {name: size for name, size in found.items() if name not in ("chunk", "batches")}

    assert memory() == memory(**{"rule.K": 512}) == memory(**{"task.delay": 5000})
    assert memory()["moved"] == memory()["weights"] > 0
    assert memory(**{"compute.workers": 3})["workers"] == 2 * memory(**{"compute.workers": 2})["workers"] > 0
