"""The parts of benchmarks/speed run, and what they compare is the same: shapes, batch, and the update itself."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from benchmarks.speed import __main__ as speed
from benchmarks.speed import chunk, cuda, devices, floor, learner, loop, memory, peers, spiking, timing, train, update
from benchmarks.speed.gradient import Gradient
from benchmarks.speed.learner import Learner, Size
from tests.close import close

SIZES = [Size(9, 12, 3, 1), Size(7, 5, 1, 4), Size(8, 70, 2, 1), Size(8, 6, 2, 16)]
ONLY_A_LINE = "Not measured: "


@pytest.mark.parametrize("module", [floor, learner, timing], ids=lambda module: module.__name__)
def test_examples_of_docstrings(module) -> None:
    assert doctest.testmod(module).failed == 0


def given(size: Size, number: int, made: Learner) -> loop.Noise:
    """Return what hands out the learner's noise step by step, and nothing of another shape."""
    hidden, output = made.noise(number)
    parts: Iterator[torch.Tensor] = (part for step in zip(hidden, output, strict=True) for part in step)

    def noise(shape: tuple[int, ...]) -> torch.Tensor:
        part = next(parts).flatten(0, 1)
        assert part.shape == shape
        return part

    return noise


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("per_sample", [False, True], ids=["batch", "sample"])
def test_the_plain_loop_makes_the_same_update_of_the_same_noise(size: Size, per_sample: bool) -> None:
    made = Learner(size)
    u, target = made.first.inputs, made.first.targets
    found = loop.update(made.weights, u, target, size.passes, given(size, 3, made), per_sample)
    expected = made(3)
    assert found.keys() == expected.keys()
    for name, dW in found.items():
        off = (dW - expected[name]).norm() / expected[name].norm()
        assert float(off) < 1e-5, name


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_floor_loop_gradient_and_learner_have_the_same_shapes(size: Size) -> None:
    made = Learner(size)
    (T, B, _), N = made.first.inputs.shape, size.units
    assert made.first.inputs.shape[:2] == (size.steps, size.batch)
    chunks = list(made.first.run(made.trainer.learner.rule.plan(), "all"))  # pyright: ignore
    h = torch.cat([each.activities["hidden"].h for each in chunks])
    assert h.shape == (T, size.passes, B, N)
    recurrent, outer = floor.products(size)
    assert (recurrent.times, recurrent.rows, recurrent.inner) == (len(h), h[0, ..., 0].numel(), h.shape[-1])
    assert made.weights["w"].shape == (recurrent.inner, recurrent.columns) == (outer.rows, outer.columns)
    assert (outer.inner, outer.times) == (T * B, 1)
    shapes = {name: W.shape for name, W in made.weights.items()}
    assert {name: dW.shape for name, dW in made(0).items()} == shapes
    gradient = Gradient(N, made.first.inputs, made.first.targets)
    assert [g.shape for g in gradient()] == [shapes[name] for name in ("w_in", "w", "w_out")]


def test_the_gradient_is_that_of_the_mean_loss_over_time_and_batch() -> None:
    """Differences in double precision, so that the peer does what it says."""
    torch.manual_seed(0)
    u, target = torch.randn(6, 2, 1, dtype=torch.float64), torch.randn(6, 2, 1, dtype=torch.float64)
    side = Gradient(4, u, target)
    matrices = [*side.rnn.parameters(), *side.out.parameters()]

    def loss() -> float:
        with torch.no_grad():
            return float(((side.out(side.rnn(u)[0]) - target) ** 2).mean())

    for W, g in zip(matrices, side(), strict=True):
        direction, eps, at = torch.randn_like(W), 1e-6, W.data.clone()
        W.data = at + eps * direction
        above = loss()
        W.data = at - eps * direction
        slope = (above - loss()) / (2 * eps)
        W.data = at
        assert float((g * direction).sum()) == close(slope, rel=1e-6, abs=1e-9)


def test_sides_take_turns_and_every_call_has_a_number_of_its_own() -> None:
    calls: list[tuple[str, int]] = []
    found = timing.in_turn({name: lambda n, name=name: calls.append((name, n)) for name in "ab"}, 0, warm=False)
    assert [name for name, _ in calls] == ["a", "b", "b", "a"]
    assert [n for _, n in calls] == sorted(n for _, n in calls)
    assert {name: len(times) for name, times in found.items()} == {"a": 2, "b": 2}


def test_a_block_is_as_many_calls_as_are_told_and_its_time_is_that_of_one() -> None:
    def clock(side: timing.Side, first: int, count: int) -> float:
        asked.append((first, count))
        return 0.001

    asked: list[tuple[int, int]] = []
    found = timing.in_turn({"a": lambda n: None}, 0.19, clock=clock)
    assert {count for _, count in asked[2:]} == {20}
    assert found == {"a": [0.001] * 10}
    firsts = [first for first, _ in asked[2:]]
    assert all(later - first >= 20 for first, later in pairwise(firsts))


def test_targets_are_of_sizes_that_are_measured() -> None:
    assert {*update.FLOOR, *update.RNN} <= {*update.SIZES, *update.LONG}


def test_the_tables_of_updates() -> None:
    told = update.report(update.measured([Size(6, 4, 2), Size(6, 4, 1, 2)], 0))
    rows = [line for line in told.splitlines() if line.startswith("| 6 ")]
    assert [row.split(" | ")[3].strip() for row in rows] == ["1 (2)", "2 (3)"]
    assert sum(line.endswith("of the plain loop, <= 0.6") for line in told.splitlines()) == 2


def test_a_long_update_is_timed_without_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "LARGE", 0)
    row = update.measured([Size(6, 4, 2)], 0)[0]
    assert row.floor == "torch"
    assert {len(times) for times in row.times.values()} == {2}


def test_the_table_of_chunks() -> None:
    assert "chunk 1 takes" in chunk.run(quick=True)


@pytest.mark.long
def test_a_peak_is_that_of_the_update_alone() -> None:
    small, large = (memory.peak("gamma 1", Size(256, steps, 32)) for steps in (8, 400))
    stored = 400 * 32 * 2 * 256 * 4 / 1e6  # differences and presynaptic activity, MB
    assert large.extra - small.extra > 0.5 * stored
    assert large.before_MB + 20 * stored > large.peak_MB > large.before_MB


def test_the_table_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def peak(side: str, size: Size) -> memory.Peak:
        asked.append(side)
        return memory.Peak(100, 100 + size.steps / (20 if side == memory.PEER else 80) + len(asked) % 3, 1)

    monkeypatch.setattr(memory, "peak", peak)
    said = memory.run(quick=False)
    assert asked == [name for name in (*memory.SIDES, memory.PEER) for _ in range(6)] + [memory.TWICE] * 3
    assert "| 50 .. 52 MB, 1.00 s " in said
    assert "- met: gamma 1, T=4,000, as it is by default: at most 0.26 of nn.RNN at its least, <= 0.5" in said
    assert "- NOT MET: gamma 1, T=100,000: at most 1252 MB, < 200" in said


def test_devices_are_measured_where_there_is_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "script", lambda name: None)
    assert devices.run(quick=True).startswith(ONLY_A_LINE)
    monkeypatch.undo()
    assert "| pcm " in devices.run(quick=True)


def test_the_table_of_spiking_units() -> None:
    told = spiking.run(quick=True)
    assert "| 10 x 2 |" in told
    for name in peers.PEERS:
        assert (f"{name} (us a step)" in told) == (find_spec(name) is not None)


@pytest.mark.parametrize("name", peers.PEERS)
def test_units_of_others_spike_and_start_anew(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(name, reason=f"pip install {name}")
    sent: list[torch.Tensor] = []
    plain = torch.addmm

    def addmm(now: torch.Tensor, spikes: torch.Tensor, wt: torch.Tensor) -> torch.Tensor:
        sent.append(spikes)
        return plain(now, spikes, wt)

    monkeypatch.setattr(peers.torch, "addmm", addmm)
    with torch.no_grad():
        present = peers.PEERS[name](torch.full((300, 2, 3), 2.0), torch.zeros(3, 3))
        present()
        first = len(sent)
        present()
    if name != "snntorch":  # has its own product
        assert first == 300
        assert float(sum(part.sum() for part in sent[:first])) > 0
        assert all(torch.equal(a, b) for a, b in zip(sent[:first], sent[first:], strict=True))


@pytest.mark.long
def test_whole_runs_are_compared_with_another_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(train.EXAMPLES, "xor")
    told = train.run(quick=True, before=train.HERE.parent)
    assert "| copy3 " in told
    assert "of the wall time before, <= 0.5" in told


def test_a_place_without_neuroanp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "trained", lambda *given: (1.0, 1.0))
    with pytest.raises(SystemExit, match="is no checkout of neuroanp"):
        train.run(quick=True, before=tmp_path)
    assert "| - " in train.run(quick=True, before=None)


def test_the_code_of_a_gpu_runs_on_a_cpu() -> None:
    told = cuda.run(quick=True, device="cpu")
    assert told.count("| 16 |") == 2
    assert "on the CPU, T=10" in told


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_is_measured_and_its_waits_counted() -> None:
    told = cuda.run(quick=True, device="cuda")
    assert "the host waits" in told


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert speed.main(["--only", "cuda"]) == 0
    assert f"## On a GPU\n\n{ONLY_A_LINE}torch finds no CUDA device here." in capsys.readouterr().out


def test_what_is_kept_is_the_part_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[str, list[tuple[str, str]]]] = []
    monkeypatch.setattr(speed.chunk, "run", lambda quick: "a table")
    monkeypatch.setattr(
        speed, "keep_parts",
        lambda name, title, parts, order, module, words: kept.append((" ".join(words), list(parts.items()))),
    )  # fmt: skip
    speed.main(["--only", "chunk", "--keep"])
    assert kept == [("--only chunk --keep", [("Steps at once", "a table")])]


def test_tiny_sizes_are_not_kept(capsys) -> None:
    with pytest.raises(SystemExit):
        speed.main(["--quick", "--keep"])
    assert "its numbers are not to be kept" in capsys.readouterr().err
