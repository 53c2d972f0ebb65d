"""The benchmark of what responses could know: true responses by automatic differentiation, fits by a library."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.echo_operating_points import KINDS, features, fitted, responses

T, B, N = 5, 7, 3


@pytest.fixture
def drawn() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return W, W_out, what drives a network, and its activities."""
    draw = torch.Generator().manual_seed(0)
    W, W_out, drive = (torch.randn(shape, dtype=torch.float64, generator=draw) for shape in ((N, N), (1, N), (T, B, N)))
    x = [torch.zeros(B, N, dtype=torch.float64)]
    for step in drive:
        x.append(torch.tanh(step + x[-1] @ W.T))
    return W, W_out, drive, torch.stack(x[1:])


def test_responses_are_derivatives_of_later_outputs(drawn) -> None:
    W, W_out, drive, x = drawn
    found = list(responses(W, W_out, 1 - x.square(), 4))
    assert [len(J) for J in found] == [5, 4, 3, 2]
    for k, J in enumerate(found):
        for t in range(T - k):
            now = x[t].clone().requires_grad_()
            later = now
            for step in range(t + 1, t + k + 1):
                later = torch.tanh(drive[step] + later @ W.T)
            (exact,) = torch.autograd.grad((later @ W_out.T).sum(), now)
            torch.testing.assert_close(J[t, :, 0], exact, rtol=1e-9, atol=0)


@pytest.mark.parametrize("each_step", [False, True])
def test_a_fit_is_weighted_least_squares_of_each_unit(drawn, each_step: bool) -> None:
    W, W_out, _, x = drawn
    f = 1 - x.square()
    J, weight = list(responses(W, W_out, f, 2))[1][:, :, 0], f[:4].square()
    given = [torch.ones_like(J), x[:4], x[1:, :, :1]]
    guess, A = fitted(J, weight, given, each_step), torch.stack([each.expand_as(J) for each in given], -1)
    for unit in range(N):
        for steps in [slice(t, t + 1) for t in range(4)] if each_step else [slice(0, 4)]:
            a, root = A[steps, :, unit].flatten(0, 1), weight[steps, :, unit].flatten().sqrt().unsqueeze(-1)
            best = torch.linalg.lstsq(a * root, J[steps, :, unit].reshape(-1, 1) * root).solution
            torch.testing.assert_close(guess[steps, :, unit].reshape(-1, 1), a @ best, atol=1e-5, rtol=1e-4)


def test_what_a_response_may_depend_on_belongs_to_its_own_step_and_to_that_of_the_answer() -> None:
    u, x, y = (torch.arange(4.0).reshape(4, 1, 1) * size for size in (1, 10, 100))
    first = {kind: [float(each[0]) for each in features(kind, 2, u, x, y)] for kind in KINDS}
    assert first["one for all"] == first["each step"] == [1]
    assert first["own activity"] == [1, 0]
    assert first["activity, output, product"] == [1, 0, 200, 0]
    second = [float(each[1]) for each in features("inputs, output, products", 2, u, x, y)]
    assert second == [1, 1, 2, 300, 300, 600, 2]
