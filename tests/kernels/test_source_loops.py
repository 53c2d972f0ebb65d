"""Sources that draw as they run give what they give of draws that lie at the same place, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.devices.protocol import Place
from neuroanp.kernels.draws import reference
from neuroanp.kernels.philox import Address
from neuroanp.profiles import load

T, M, DT = 7, 3, 2e-9
U, XI = Address(0x1234567890, 3, 5, 11), Address(0x987654321, 3, 5, 11)


def law(name, sources):
    profile = load(name)
    return profile.stochastic.model_copy(update={"n_sources": sources, "kappa": -1.3})


LAWS = ["smtj_koenders", "smtj_telegraph"]


@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize(("B", "n"), [(1, 5), (2, 256), (70, 130)])  # the last in two blocks of rows
@pytest.mark.parametrize("name", LAWS)
def test_it_is_the_run_of_the_draws_at_the_place(name, B, n, sources):
    source = law(name, sources)
    u = torch.from_numpy(reference("uniform", U, T, (sources, B, n), np.float32))
    xi = torch.from_numpy(reference("normal", XI, T, (B, n), np.float32))
    state = source.start(
        torch.from_numpy(reference("uniform", U._replace(stream=1), 1, (sources, B, n), np.float32))[0]
    )
    kept, noise = state.clone(), torch.full((T, M, B, n), torch.nan)
    after = source.fill(Place(noise, 1, U, XI), state, DT)
    expected, then = source.run(state, u, xi, DT)
    assert torch.equal(noise[:, 1], expected)
    assert torch.equal(after, then)
    assert torch.equal(state, kept)
    assert noise[:, ::2].isnan().all()
    assert expected.std() > 0
    assert not torch.equal(after, state)


@pytest.mark.parametrize("name", LAWS)
def test_steps_follow_one_another(name):
    source = law(name, 2)
    whole, parts = torch.empty(T, M, 4, 9), torch.empty(T, M, 4, 9)
    state = source.start(torch.rand(2, 4, 9, generator=torch.Generator().manual_seed(0)))
    after = source.fill(Place(whole, 0, U, XI), state, DT)
    middle = source.fill(Place(parts[:3], 0, U, XI), state, DT)
    end = source.fill(Place(parts[3:], 0, U._replace(t=U.t + 3), XI._replace(t=XI.t + 3)), middle, DT)
    assert torch.equal(whole[:, 0], parts[:, 0])
    assert torch.equal(after, end)
