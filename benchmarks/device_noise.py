"""Device noise as the only perturbation: what it teaches, and what writing costs on top.

python benchmarks/device_noise.py [--seeds 3]
"""

from __future__ import annotations

from statistics import median
from typing import Any

from common import Case, against_ridge, arguments, keep, run_cases, spread, table, values, verdict

COPY3: dict[str, Any] = {
    "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "network": {"hidden": 100},
    "rule": {"name": "anp", "reference": "mean", "K": 7},
    "optimizer": {"lr": 2e-3},
    "training": {"updates": 600, "batch": 32, "controls": False},
}
WAYS = {"ideal": "written ideally", "verify": "write-verify", "pulse": "in-situ pulses"}
DEVICES = {"pcm": ("ideal", "verify", "pulse"), "smtj_koenders": ("ideal",), "rram_hfo2": ("ideal", "verify", "pulse")}


def main() -> None:
    """Run the table and say which numbers are reached."""
    options = arguments(__doc__ or "")
    cases = [
        Case(f"{profile}, {WAYS[way]}", COPY3, {"profile": profile, "hardware.write": way})
        for profile, ways in DEVICES.items()
        for way in ways
    ]
    # The controls of profile ideal: those without a readout to train do not depend on the profile.
    controls = Case("controls", COPY3, {"profile": "ideal", "training.controls": True})
    found = run_cases([*cases, controls], options)
    rows = []
    for case in cases:
        results = found[case.label]
        seconds, energy = values(results, "chip_time_s"), values(results, "energy_J")
        noise = "Gaussian 1e-2" if case.overrides["profile"] == "rram_hfo2" else "the device's own"
        rows.append(
            [
                case.label,
                noise,
                spread(values(results, "test_loss_noise_free")),
                spread(values(results, "test_loss")),
                f"{median(energy) * 1e3:.3g}",
                f"{median(seconds):.3g}",
                f"{median(values(results, 'pulses')):.3g}",
                f"{median(values(results, 'wear')):.2g}",
            ]
        )
    for name in ("ridge", "frozen_recurrence", "constant_mean"):
        rows.append(
            [f"control: {name} (ideal)", "", spread(values(found["controls"], f"controls.{name}")), "", "", "", "", ""]
        )
    headers = ["profile, writes", "perturbation", "noise-free", "under its noise", "energy (mJ)", "chip time (s)",
               "pulses", "wear"]  # fmt: skip
    claims = []
    for label in (f"pcm, {WAYS['ideal']}", f"smtj_koenders, {WAYS['ideal']}"):
        loss = median(values(found[label], "test_loss_noise_free"))
        claims.append(verdict(f"{label}: noise-free test loss {loss:.3g} <= .02", loss <= 0.02))
    ridge = values(found["controls"], "controls.ridge")
    mean = values(found["controls"], "controls.constant_mean")
    for case in cases:
        losses = values(found[case.label], "test_loss_noise_free")
        if median(losses) > 0.9 * median(mean):
            claims.append(f"{case.label}: did not learn, {median(losses):.3g} against {median(mean):.3g} of the mean.")
        else:
            claims.append(against_ridge(case.label, losses, ridge))
    body = table(headers, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
    keep("device_noise", "Copy 3, hidden 100, batch 32, 600 updates, 8 passes: device noise as exploration", body)


if __name__ == "__main__":
    main()
