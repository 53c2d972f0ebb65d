"""What the learners take from a backend: presynaptic activity of each array, and a network to differentiate."""

from __future__ import annotations

import pytest
import torch

from neuroanp.backends.rate import RateBackend
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.methods import BPTT, BPTT1
from neuroanp.baselines.protocol import Outputs
from neuroanp.errors import InputError
from neuroanp.network.network import Network
from neuroanp.training.gradient_learner import GradientLearner
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory, Weights
from tests.close import close

T, M, B, I, N, O = 4, 3, 2, 3, 5, 2  # noqa: E741


def chunk(bias: bool, readout: bool) -> Trajectory:
    made = torch.Generator().manual_seed(0)

    def draw(*shape) -> torch.Tensor:
        return torch.randn(shape, generator=made)

    u, layer = draw(T, B, I + bias), LayerActivity(draw(T, M, B, N), draw(T, M, B, N), draw(M, B, N))
    return Trajectory(
        u, {"hidden": layer}, draw(T, M, B, O), 0, 1e-3, pre={"w_out": draw(T, M, B, N + bias)} if readout else {}
    )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("pre", [None, 1])
def test_outputs_learn_from_what_they_read(bias, pre):
    weights = Weights.one_layer(
        {"w_in": torch.zeros(N, I + bias), "w": torch.zeros(N, N), "w_out": torch.zeros(O, N + bias)}, bias
    )
    plan = PassPlan((1.0,) * M, tuple(range(M)), "mean", pre)
    for readout in (False, True):
        this = chunk(bias, readout)

        def one(values: torch.Tensor, axis: int) -> torch.Tensor:
            return values.mean(axis) if pre is None else values.select(axis, pre)

        found = Presynaptic.of(this, plan).by_array(weights.network)
        layer = this.layers["hidden"]
        seen = this.pre.get("w_out", layer.x)
        assert torch.equal(found["w_in"], this.u)
        assert torch.equal(found["w"][0], one(layer.x_prev, 0))
        assert torch.equal(found["w"][1:], one(layer.x, 1)[:-1])
        assert torch.equal(found["w_out"][..., :N], one(seen, 1)[..., :N])
        if bias and not readout:
            assert bool((found["w_out"][..., N] == 1).all())
        assert found["w_out"].shape == (T, B, N + bias)


def test_a_backend_s_own_network_is_what_bptt_differentiates(make_lab):
    """A network of its own is differentiated with the weights that the chip holds; others are tanh networks."""
    seen = []

    class Linear(RateBackend):
        def differentiable(self, network: Network) -> Outputs:
            def outputs(weights: Weights, inputs: torch.Tensor, neurons=None) -> torch.Tensor:
                seen.append(weights)
                return inputs @ weights["w_in"].T @ weights["w_out"].T

            return outputs

    lab = make_lab()
    context = lab.context(backend=Linear)
    update = GradientLearner(BPTT()).learn({}, context)[1]
    y = lab.inputs @ lab.weights["w_in"].T @ lab.weights["w_out"].T
    miss = (y - lab.targets).square().mean(-1).mean(-1)
    assert update.diagnostics["loss"] == close(float((lab.mask * miss).sum() / lab.mask.sum()))
    assert float(update.arrays["w"].abs().max()) == 0
    assert all(torch.equal(seen[0][name], context.reads[name].W) for name in lab.weights)
    with pytest.raises(InputError, match="bptt1"):
        GradientLearner(BPTT1()).learn({}, context)[1]
    assert torch.equal(
        GradientLearner(BPTT()).learn({}, lab.context())[1].arrays["w"],
        gradient(lab.weights, lab.context()).arrays["w"],
    )
