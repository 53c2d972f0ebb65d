"""An update that is recorded once and replayed is the update, its noise, its books and all."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroanp.devices.draws import normal
from neuroanp.network.gru import GRU
from neuroanp.noise import PassStreams
from neuroanp.training import pass_learner, recorded
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.noted import Noted
from neuroanp.training.recorded import Recording, found, layout, unrecordable
from neuroanp.trajectory import WeightUpdate
from tests.close import close

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
TASK = {"name": "mackey_glass", "steps": 12, "washout": 0, "train_length": 200, "test_size": 1}
TINY = {
    "task": TASK,
    "training": {"batch": 3, "controls": False, "updates": 20},
    "rule": {"name": "anp"},
    "optimizer": {"lr": 0.01},
}
SPIKING = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}}
CASES = {
    "ideal": {},
    "mean": {"rule.reference": "mean", "rule.K": 4, "network.bias": True},
    "innovation": {"rule.difference": "innovation", "rule.gamma": 0.9},
    "pcm": {"profile": "pcm"},
    "junctions": {"profile": "smtj_koenders"},
    "tiles": {"profile": "pcm_tiles"},
    "serial": {"profile": "sram_cim"},
    "pulses": {"profile": "rram_hfo2", "hardware.write": "pulse"},
    "float64": {"profile": "pcm", "compute.dtype": "float64"},
    "lif": {"profile": "mixed_signal_neurons", **SPIKING},
    "lif-bias": {**SPIKING, "network.bias": True},
    "chunks": {"training.chunk": 5, "optimizer.clip": 1e-3},
    "replayed": {"training.memory": "0.001 MB"},
    "step": {"rule.gamma": 0.0},
    "noise": {"rule.name": "np"},
    "batch": {"rule.credit": "batch", "rule.reference": "silent", "rule.K": 2},
    "sampled": {"profile": "photonic", "hardware.read": "sampled"},
    "spikes": {**SPIKING, "encoder.hold": 2, "encoder.name": "poisson", "encoder.rate": "500 Hz"},
    "layers": {"network.layers": [{"cell": "gru", "units": 7}, {"cell": "tanh", "units": 5}]},
}


def made(name: str, device: str = "cpu"):
    network = {} if "network.layers" in CASES[name] else {"network": {"hidden": 9}}
    return build_trainer(Experiment.of(configure({**TINY, **network}, {**CASES[name], "compute.device": device})))


class Rerun:
    """Does work again and puts what it makes where it was: what a CUDA graph does, on a CPU."""

    def record(self, work):
        work()
        found = work()
        numbers = {name: torch.tensor(x, dtype=torch.float64) for name, x in found.diagnostics.items()}
        self.work, self.made = work, WeightUpdate(found.arrays, numbers)
        return self.made

    def replay(self):
        again = self.work()
        for name, dW in self.made.arrays.items():
            dW.copy_(again.arrays[name])
        for name, x in self.made.diagnostics.items():
            x.fill_(again.diagnostics[name])


@pytest.fixture
def rerun(monkeypatch):
    """Record on a CPU: noise is addressed by the update that lies there, as on a GPU."""
    plain = PassStreams.at

    def at(self, *args):
        told = self if self.update_there is None else replace(self, update=int(self.update_there), update_there=None)
        return plain(told, *args)

    monkeypatch.setattr(PassStreams, "at", at)
    monkeypatch.setattr(recorded, "CudaGraph", lambda device: Rerun())
    monkeypatch.setattr(recorded, "data_on_gpu", lambda lab: True)
    monkeypatch.setattr(pass_learner, "plain", lambda lab: False)  # no compiled loops: those of a GPU's path


def trained(trainer, updates: int = 3):
    rows = [trainer.step() for _ in range(updates)]
    return rows, {name: W.cpu() for name, W in trainer.substrate.weights.items()}, trainer.substrate.ledger.report()


def recording(trainer) -> Recording | None:
    return trainer.learner._recorded._recording


@pytest.mark.parametrize("name", CASES)
def test_replays_with_other_numbers_are_the_updates_themselves(name, rerun):
    one, other = made(name), made(name)
    other.learner._recorded._refused = True
    (rows, weights, books), (wanted_rows, wanted, wanted_books) = trained(one), trained(other)
    assert recording(one) is not None
    assert recording(other) is None
    assert rows == wanted_rows
    assert books == wanted_books
    assert all(torch.equal(weights[each], wanted[each]) for each in wanted)


def test_another_layout_is_recorded_anew(rerun):
    trainer = made("ideal")
    trainer.step()
    first = recording(trainer)
    trainer.step()
    assert recording(trainer) is first
    lab = trainer.lab()
    for other in (replace(lab, memory=1), replace(lab, books=False), replace(lab, mask=lab.mask.double())):
        assert layout(other, found(other)) != layout(lab, found(lab))
    trainer.learner.learn({}, replace(lab, books=False))
    assert recording(trainer) is not first


def test_what_the_host_has_a_part_in_is_told_once_and_computed_anyway(rerun, monkeypatch, caplog):
    class Fails:
        def record(self, work):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(recorded, "CudaGraph", lambda device: Fails())
    one, other = made("ideal"), made("ideal")
    with caplog.at_level(logging.WARNING):
        rows = trained(one)[0]
    (told,) = (record.message for record in caplog.records)
    assert "cannot be recorded as a CUDA graph (operation not permitted when stream is capturing): " in told
    other.learner._recorded._refused = True
    assert rows == trained(other)[0]


def test_no_memory_for_a_recording_is_an_error(rerun, monkeypatch):
    class Fails:
        def record(self, work):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(recorded, "CudaGraph", lambda device: Fails())
    with pytest.raises(torch.OutOfMemoryError):
        made("ideal").step()


def test_on_a_cpu_nothing_is_recorded():
    trainer = made("ideal")
    trainer.step()
    assert recording(trainer) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"profile": "rram_rtn", "hardware.read": "sampled"}, "devices are drawn one by one"),
        (
            {"task.steps": 4097, "task.train_length": 5000, "training.batch": 1},
            "4,097 steps of time, at most 4,096",
        ),
        ({"backend": "spiking", "neuron": {"name": "lif"}}, "backend 'spiking' computes on the host"),
    ],
)
def test_what_is_not_recorded_is_told(changes, why, rerun, caplog):
    trainer = build_trainer(Experiment.of(configure({**TINY, "network": {"hidden": 4}}, changes)))
    lab = trainer.lab()
    told = unrecordable(lab)
    assert told is not None
    assert why in told
    with caplog.at_level(logging.WARNING):
        trainer.learner._recorded(lab)
    assert recording(trainer) is None
    assert why in caplog.text


def test_books_are_told_when_they_are_and_cannot_be_read_before():
    trainer = made("pcm")
    noted = Noted(trainer.substrate, trainer.substrate.weights)
    noted.book_reads("w", torch.ones(9), 6, 6)
    before = trainer.substrate.ledger.report()
    assert not hasattr(noted.ledger, "report")
    noted.book(trainer.substrate)
    assert trainer.substrate.ledger.reads == before["reads"] + 6
    noted.forget()
    noted.book(trainer.substrate)
    assert trainer.substrate.ledger.reads == before["reads"] + 6


def test_what_an_update_returned_stays_as_it_is(rerun):
    trainer = made("ideal")
    first = trainer.learner.learn({}, trainer.lab())[1]
    kept = {name: dW.clone() for name, dW in first.arrays.items()}
    loss = float(first.diagnostics["loss"])
    trainer.step()
    trainer.step()
    assert all(torch.equal(kept[name], first.arrays[name]) for name in kept)
    assert float(first.diagnostics["loss"]) == loss


@cuda
@pytest.mark.parametrize("name", CASES)
def test_a_cuda_graph_gives_the_bits_of_its_kernels_and_nearly_those_of_the_cpu(name):
    one, other, here = made(name, "cuda"), made(name, "cuda"), made(name)
    other.learner._recorded._refused = True
    (rows, weights, books), (wanted_rows, wanted, wanted_books) = trained(one), trained(other)
    assert recording(one) is not None
    assert (rows, books) == (wanted_rows, wanted_books)
    assert all(torch.equal(weights[each], wanted[each]) for each in wanted)
    rows, _, books_there = trained(here)
    assert wanted_rows[0]["train_loss"] == close(rows[0]["train_loss"], rel=2e-3)  # a code of an ADC may differ
    assert books["reads"] == books_there["reads"]
    for kind, joules in books_there["energy"].items():
        assert (joules is None) == (books["energy"][kind] is None)
        assert joules is None or books["energy"][kind] == close(joules, rel=2e-2)


@cuda
@pytest.mark.parametrize("name", ["ideal", "mean", "layers", "lif-bias", "chunks", "step"])
def test_an_update_of_exact_arrays_waits_once(name):
    trainer = made(name, "cuda")
    trainer.step()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            trainer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [f"{each.filename}:{each.lineno}" for each in told if "called a synchronizing" in str(each.message)]
    assert len(waits) == 1, waits


@cuda
def test_of_two_recordings_each_has_its_own_memory():
    one, other = made("ideal", "cuda"), made("mean", "cuda")
    first = one.learner.learn({}, one.lab())[1]
    trained(other)
    found = recording(one)
    assert found is not None
    assert isinstance(first.diagnostics["loss"], Tensor)
    assert all(torch.equal(first.arrays[name], there) for name, there in found._made.arrays.items())


@cuda
def test_what_waits_for_the_gpu_cannot_be_recorded_and_is_computed_all_the_same(monkeypatch, caplog):
    one, other = made("layers", "cuda"), made("layers", "cuda")
    other.learner._recorded._refused = True
    wanted = trained(other)
    monkeypatch.setattr(GRU, "step", lambda self, state, h, step=GRU.step: (float(h.sum()), step(self, state, h))[1])
    with caplog.at_level(logging.WARNING):
        rows, weights, books = trained(one)
    assert recording(one) is None
    assert sum("cannot be recorded as a CUDA graph" in record.message for record in caplog.records) == 1
    assert (rows, books) == (wanted[0], wanted[2])
    assert all(torch.equal(weights[name], wanted[1][name]) for name in weights)
    monkeypatch.undo()
    later = made("ideal", "cuda")  # what failed leaves nothing behind
    later.step()
    assert recording(later) is not None


@cuda
def test_numbers_of_the_host_are_refused_while_an_update_is_recorded():
    graph, there = torch.cuda.CUDAGraph(), torch.zeros(1, device="cuda")
    with torch.cuda.graph(graph):
        with pytest.raises(RuntimeError, match="numbers of the host cannot be recorded"):
            normal(np.random.default_rng(0), (2,), there)
        there.add_(1)
