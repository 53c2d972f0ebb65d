"""Networks whose devices are drawn as they are read: as with noise that was drawn before."""

from __future__ import annotations

import pytest
import torch

from neuroanp.substrates.device_noise import DeviceNoise
from neuroanp.trajectory import PassPlan


@pytest.mark.parametrize("backend", ["rate", "lif"])
def test_a_network_does_the_same_either_way(make_bench, monkeypatch, backend):
    """Presented as a whole: telegraph noise drawn as it is read, and drawn before."""
    found = []
    for fused in (True, False):
        monkeypatch.setattr(DeviceNoise, "fused", property(lambda _, fused=fused: fused))
        bench = make_bench("rram_rtn", backend=backend, read="sampled", dtype=torch.float32)
        plan_of = PassPlan((1.0, 1.0, 0.0), (0, 1, 2), ((0, 2), (1, 2)))
        found.append((bench.passes(plan_of, keep="loss").y, bench.chip.ledger.state_dict()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=2e-3)
    assert float(found[0][0].std()) > 0
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], rtol=1e-4, atol=0)
