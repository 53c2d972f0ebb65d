"""What a diagnosis says of estimators whose cosine, bias and variance are known on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neuroanp.api.diagnosis import asked_of
from neuroanp.diagnosing.diagnosis import of_config
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from tests.close import close


def diagnosed(config: dict[str, Any], **asked: Any) -> dict[tuple[Any, str], dict[str, Any]]:
    """Rows by (K, array)."""
    made = of_config(configure(config), asked_of(**asked))
    return {(row["K"], row["array"]): row for row in made.table()}


def batch_of(config: dict[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Weights, inputs (T, B, I), targets (T, B, O) and mask of the first update."""
    trainer = build_trainer(Experiment.of(configure(config)))
    lab = trainer.lab()
    W = {name: part.numpy().copy() for name, part in trainer.substrate.weights.items()}
    return W, lab.inputs.numpy(), lab.targets.numpy(), lab.mask.numpy()


def linear(tiny, K: int = 1, reference: str = "silent") -> dict[str, Any]:
    """Node perturbation of h = W_in u + n, y = W_out h + n^y, of which each step stands by itself."""
    network = {"hidden": 4, "layers": [{"cell": "identity", "units": 4, "recurrent": False}]}
    network.pop("hidden")
    made = tiny(rule={"name": "np", "gamma": 0.0, "K": K, "reference": reference}, perturbation={"sigma": 1e-4})
    return {**made, "network": network}


def by_hand(W, u, target, mask) -> dict[str, tuple[float, float]]:
    """|g|^2 and the trace of the covariance of one difference, for each array, up to sigma^2.

    With e = y - target, z = W_out n + n^y and q = W_out^T e a difference to the silent pass is
    dL = (2 e.z + |z|^2) / O, and the update of a step dL n / sigma^2 u^T. By Isserlis' theorem, for n of N units and
    n^y of O,

        E |dL n   / sigma^2|^2 = (2/O)^2 ((N + 2) |q|^2 + N |e|^2)      E dL n   / sigma^2 = (2/O) q
        E |dL n^y / sigma^2|^2 = (2/O)^2 (O |q|^2 + (O + 2) |e|^2)      E dL n^y / sigma^2 = (2/O) e

    Two noisy passes have dn = n - n' in the place of n, of variance 2 sigma^2, and the same quotients.
    """
    T, B, _ = u.shape
    O, N = W["w_out"].shape  # noqa: E741 - as in the equations
    g = {"w_in": np.zeros(W["w_in"].shape), "w_out": np.zeros(W["w_out"].shape)}
    trace = dict.fromkeys(g, 0.0)
    for t in range(T):
        for b in range(B):
            x = W["w_in"] @ u[t, b]
            e = mask[t] * (W["w_out"] @ x - target[t, b])
            q = W["w_out"].T @ e
            g["w_in"] += 2 / O / B * np.outer(q, u[t, b])
            g["w_out"] += 2 / O / B * np.outer(e, x)
            square = (2 / O / B) ** 2
            trace["w_in"] += square * (u[t, b] @ u[t, b]) * ((N + 2) * q @ q + N * e @ e - q @ q)
            trace["w_out"] += square * (x @ x) * (O * q @ q + (O + 2) * e @ e - e @ e)
    sizes = {name: float((part**2).sum()) for name, part in g.items()}
    return {**{name: (sizes[name], trace[name]) for name in g}, "all": (sum(sizes.values()), sum(trace.values()))}


@pytest.mark.parametrize("reference", ["silent", "two"])
def test_node_perturbation_of_a_linear_network_has_the_variance_on_paper(tiny, reference):
    """Unbiased, of variance V/K; the cosine of one update goes up with K as 1 / sqrt(1 + V/K)."""
    config = linear(tiny, reference=reference)
    expected = by_hand(*batch_of(config))
    rows = diagnosed(config, K=[1, 4, 16], draws=200)
    for K in (1, 4, 16):
        for name, (size, trace) in expected.items():
            row, V = rows[K, name], trace / size / K
            half = (row["variance_high"] - row["variance_low"]) / 2
            assert row["variance"] == close(V, rel=0.0, abs=2 * half), (K, name)
            assert half < 0.25 * V
            assert row["bias"] is None
            assert row["scale"] == close(1.0, rel=0.0, abs=row["scale_high"] - row["scale_low"])
            assert row["signal_to_noise"] == close(1 / V, rel=0.35)
    for name, (size, trace) in expected.items():
        cosines = [rows[K, name]["cosine"] for K in (1, 4, 16)]
        assert cosines == sorted(cosines)
        assert cosines[-1] == close(1 / np.sqrt(1 + trace / size / 16), rel=0.05)
        assert rows[1, name]["mean_cosine_high"] == 1.0


def gradients(config: dict[str, Any], truncated: bool) -> np.ndarray:
    """The gradient of a tanh network by autograd over a loop; `truncated`: the state before is a constant."""
    W, u, target, mask = batch_of(config)
    leaves = {name: torch.tensor(part, requires_grad=True) for name, part in W.items()}
    x, L = torch.zeros(u.shape[1], len(W["w"]), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(len(u)):
        before = x.detach() if truncated else x
        x = torch.tanh(torch.tensor(u[t]) @ leaves["w_in"].T + before @ leaves["w"].T)
        L = L + mask[t] * ((x @ leaves["w_out"].T - torch.tensor(target[t])) ** 2).mean()
    return np.concatenate([part.numpy().ravel() for part in torch.autograd.grad(L, list(leaves.values()))])


def of_vectors(u: np.ndarray, g: np.ndarray) -> dict[str, float]:
    """Scale, bias and cosine of a vector to another."""
    scale = float(u @ g / (g @ g))
    return {
        "scale": scale,
        "bias": float(np.linalg.norm(u - scale * g) / np.linalg.norm(g)),
        "mean_cosine": float(u @ g / np.linalg.norm(u) / np.linalg.norm(g)),
    }


def test_a_truncated_gradient_has_the_bias_of_the_very_vectors(tiny):
    """No chance in it: scale, bias and cosine to the last digits, intervals without width, no variance."""
    config = tiny(rule="bptt1")
    sizes = np.cumsum([0, *(W.size for W in batch_of(config)[0].values())])
    cut, whole = gradients(config, True), gradients(config, False)
    rows = diagnosed(config, draws=6)
    parts = {"all": slice(0, sizes[-1]), "w_in": slice(0, sizes[1]), "w": slice(sizes[1], sizes[2])}
    for name, part in parts.items():
        row = rows[None, name]
        for key, value in of_vectors(cut[part], whole[part]).items():
            assert [row[key], row[f"{key}_low"], row[f"{key}_high"]] == close([value] * 3, rel=1e-9), (name, key)
        assert (row["variance"], row["variance_high"], row["signal_to_noise"]) == (0.0, 0.0, None)
        assert row["cosine"] == close(row["mean_cosine"], rel=1e-12)
    out = rows[None, "w_out"]  # it has no past
    assert (out["bias"], out["scale"], out["mean_cosine"]) == (None, 1.0, close(1.0, rel=1e-12))
    assert out["bias_high"] < 1e-13


def test_the_gradient_itself_has_neither_bias_nor_variance(tiny):
    for row in diagnosed(tiny(rule="bptt"), draws=5).values():
        assert (row["scale"], row["bias"], row["variance"], row["mean_cosine"]) == (1.0, None, 0.0, 1.0)


@pytest.mark.parametrize("truncation", [None, 1])
def test_noise_on_a_gradient_is_variance_and_truncation_under_it_is_bias(tiny, truncation):
    """u = g + s xi: V = d s^2 / |g|^2, no bias to be resolved; truncated, its bias is there under the noise."""
    config = tiny(rule={"name": "noisy_gradient", "truncation": truncation, "noise": 0.05})
    whole, cut = gradients(config, False), gradients(config, True)
    rows, d = diagnosed(config, draws=256), len(whole)
    row = rows[None, "all"]
    V = d * 0.05**2 / float(whole @ whole)
    assert row["variance"] == close(V, rel=0.0, abs=row["variance_high"] - row["variance_low"])
    if truncation is None:
        assert all(each["bias"] is None for each in rows.values())
        assert row["scale_low"] < 1 < row["scale_high"]
        assert row["bias_high"] < 3 * np.sqrt(V / 256)
        return
    truth = of_vectors(cut, whole)
    for key in truth:
        assert row[f"{key}_low"] < truth[key] < row[f"{key}_high"], key
    assert row["bias"] is not None
    assert row["bias"] == close(truth["bias"], rel=0.1)
    assert rows[None, "w_out"]["bias"] is None


def test_what_an_update_leaves_out_is_zero(tiny):
    """An array without an update has nothing to compare, and is missing from all of them together."""
    config = tiny(rule={"name": "noisy_gradient", "noise": 0.0, "left_out": "w"})
    rows, g = diagnosed(config, draws=5), gradients(config, False)
    sizes = np.cumsum([0, *(W.size for W in batch_of(config)[0].values())])
    without = g.copy()
    without[sizes[1] : sizes[2]] = 0
    assert rows[None, "w"]["note"] == "the updates are all zero"
    assert rows[None, "all"]["mean_cosine"] == close(of_vectors(without, g)["mean_cosine"], rel=1e-9)
