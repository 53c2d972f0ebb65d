"""What the learners take from a backend: presynaptic activity of each array, and a network to differentiate."""

from __future__ import annotations

import pytest
import torch

from neuroanp.backends.rate import RateBackend
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.methods import BPTT, BPTT1
from neuroanp.errors import InputError
from neuroanp.training.learner import GradientLearner, presynaptic
from neuroanp.trajectory import PassPlan, Trajectory, Weights
from tests.close import close

T, M, B, I, N, O = 4, 3, 2, 3, 5, 2  # noqa: E741


def chunk(bias: bool, readout: bool) -> Trajectory:
    made = torch.Generator().manual_seed(0)

    def draw(*shape) -> torch.Tensor:
        return torch.randn(shape, generator=made)

    return Trajectory(
        draw(T, B, I + bias), draw(T, M, B, N), draw(T, M, B, N), draw(M, B, N), draw(T, M, B, O), 0, 1e-3,
        readout=draw(T, M, B, N + bias) if readout else None,
    )  # fmt: skip


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("pre", [None, 1])
def test_outputs_learn_from_what_they_read(bias, pre):
    weights = Weights(
        {"w_in": torch.zeros(N, I + bias), "w": torch.zeros(N, N), "w_out": torch.zeros(O, N + bias)}, bias
    )
    plan = PassPlan((1.0,) * M, tuple(range(M)), "mean", pre)
    for readout in (False, True):
        this = chunk(bias, readout)

        def one(values: torch.Tensor, axis: int) -> torch.Tensor:
            return values.mean(axis) if pre is None else values.select(axis, pre)

        found = presynaptic(this, plan, weights)
        assert this.x is not None
        assert this.x_prev is not None
        seen = this.readout if this.readout is not None else this.x
        assert torch.equal(found["w_in"], this.u)
        assert torch.equal(found["w"][0], one(this.x_prev, 0))
        assert torch.equal(found["w"][1:], one(this.x, 1)[:-1])
        assert torch.equal(found["w_out"][..., :N], one(seen, 1)[..., :N])
        if bias and not readout:
            assert bool((found["w_out"][..., N] == 1).all())
        assert found["w_out"].shape == (T, B, N + bias)


def test_a_backend_s_own_network_is_what_bptt_differentiates(make_lab):
    """A network of its own is differentiated with the weights that the chip holds; others are tanh networks."""
    seen = []

    class Linear(RateBackend):
        def differentiable(self, weights: Weights, inputs: torch.Tensor, neurons=None) -> torch.Tensor:
            seen.append(weights)
            return inputs @ weights["w_in"].T @ weights["w_out"].T

    lab = make_lab()
    context = lab.context(backend=Linear)
    update = GradientLearner(BPTT()).step(context)
    y = lab.inputs @ lab.weights["w_in"].T @ lab.weights["w_out"].T
    miss = (y - lab.targets).square().mean(-1).mean(-1)
    assert update.diagnostics["loss"] == close(float((lab.mask * miss).sum() / lab.mask.sum()))
    assert float(update.arrays["w"].abs().max()) == 0
    assert all(torch.equal(seen[0][name], context.reads[name].W) for name in lab.weights)
    with pytest.raises(InputError, match="bptt1"):
        GradientLearner(BPTT1()).step(context)
    assert torch.equal(
        GradientLearner(BPTT()).step(lab.context()).arrays["w"], gradient(lab.weights, lab.context()).arrays["w"]
    )
