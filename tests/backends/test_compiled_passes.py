"""Compiled loops of tanh layers against the plain torch ones: the same passes, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuroanp.backends import compiled_passes, rate
from neuroanp.backends.compiled_passes import compiled
from neuroanp.learning.anp import ANP
from neuroanp.network.compose import Stacked
from neuroanp.network.tanh import LeakyTanh, Tanh
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import LayerActivity, LayerChange, PassPlan

PLANS = {
    "two": ANP(reference="two", K=2).plan(),
    "mean": ANP(reference="mean", K=4).plan(),
    "silent": ANP(reference="silent", K=3).plan(),
    "mixed": PassPlan(noise=(1.0, 0.0, 1.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1), (2, 1), (0, 3))),
}
SIZES = {"small": (70, 3, 2, 10, 2), "wide": (5, 3, 2, 67, 1), "large": (3, 40, 2, 80, 2)}  # T, B, I, N, O
LAYERS = {
    "one": [Stacked(Tanh(), 10)],
    "forward": [Stacked(Tanh(), 10, recurrent=False)],
    "two": [Stacked(Tanh(), 9), Stacked(Tanh(), 7, delay=1)],
    "under leaky": [Stacked(Tanh(), 9), Stacked(LeakyTanh(leak=0.5), 7)],
}
PROFILES = ["ideal", "pcm", "smtj_koenders", "smtj_telegraph", "pcm_tiles"]


def both(monkeypatch, make_bench, plan, keep="all", **of):
    """Return the chunks of a presentation by compiled loops and by plain ones."""
    bench = make_bench(dtype=torch.float32, **of)
    fast = list(bench.chunks(plan, keep=keep, chunk=32))
    monkeypatch.setattr(rate, "compiled", lambda layer, like: False)
    plain = list(bench.chunks(plan, keep="all" if keep == "changes" else keep, chunk=32))
    return bench, fast, plain


def agree(found: torch.Tensor, expected: torch.Tensor, scale: float = 1.0) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6 * scale)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("profile", PROFILES)
def test_passes_are_those_of_the_plain_loop(monkeypatch, make_bench, profile, size, plan):
    """Converters aside, where rounding can move a code."""
    monkeypatch.setattr(compiled_passes, "SMALL", 1 << 18)  # what is large takes no time then
    effects = rate_effects()
    bench, fast, plain = both(
        monkeypatch, make_bench, PLANS[plan], profile=profile, sizes=SIZES[size], sigma=0.05, effects=effects
    )
    for a, b in zip(fast, plain, strict=True):
        assert a.t0 == b.t0
        agree(a.y, b.y)
        for name, layer in a.activities.items():
            agree(layer.h, b.activities[name].h)
            agree(layer.x, b.activities[name].x)
            agree(layer.x_prev, b.activities[name].x_prev)
    T, B, _, N, _ = SIZES[size]
    assert (PLANS[plan].passes * B * N * N <= 1 << 18) == (size != "large")
    assert all(compiled(layer, fast[0].y) for layer in bench.network.layers)
    assert sum(len(a.y) for a in fast) == T


def rate_effects():
    from neuroanp.devices.effects import ALL_EFFECTS

    return ALL_EFFECTS - {"adc", "dac"}


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("profile", ["ideal", "pcm", "smtj_koenders"])
def test_changes_are_those_of_all_passes(monkeypatch, make_bench, profile, plan, layers):
    """What a rule keeps of changes is what it keeps of all that layers did; the silent pass's activity where it is."""
    rule, plan = ANP(), PLANS[plan]
    if plan is PLANS["mixed"]:
        plan = replace(plan, pre=1)
    sizes = SIZES["small"]
    bench, fast, plain = both(
        monkeypatch, make_bench, plan, "changes", profile=profile, sizes=sizes, sigma=0.05, layers=LAYERS[layers],
        effects=rate_effects(),
    )  # fmt: skip
    for a, b in zip(fast, plain, strict=True):
        kinds = {name: type(layer) for name, layer in a.layers.items()}
        tanh = [layer.name for layer in bench.network.layers if type(layer.cell) is Tanh]
        assert kinds == {name: LayerChange if name in tanh else LayerActivity for name in a.layers}
        found, expected = (rule.compare(each, bench.weights, plan) for each in (a, b))
        for name, d in expected.d.items():
            agree(found.d[name], d)
            agree(found.gain[name] / expected.gain[name], torch.ones_like(expected.gain[name]), 50.0)
        pre, wanted = (Presynaptic.of(each, plan).by_array(bench.network) for each in (a, b))
        for name, x in wanted.items():
            agree(pre[name], x)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_small_layers_do_not_depend_on_the_chunk(make_bench, chunk):
    bench = make_bench(dtype=torch.float32, sizes=SIZES["small"], sigma=0.05)
    plan = PLANS["mean"]
    whole, cut = (bench.passes(plan, chunk=size) for size in (128, chunk))
    for name in ("h", "x", "y"):
        assert torch.equal(getattr(whole, name), getattr(cut, name)), name


def test_changes_carry_nothing_else(make_bench):
    bench = make_bench(dtype=torch.float32, sizes=SIZES["small"])
    (first, *_) = bench.chunks(PLANS["two"], keep="changes")
    with pytest.raises(ValueError, match="ask for keep 'all'"):
        first.activities  # noqa: B018
