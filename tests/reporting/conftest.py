"""Run directories with made-up numbers, written through RunDir as a training run writes them."""

import math

import numpy as np
import pytest

from neuroanp.records import RunDir, environment

CONFIG = (
    "task:\n  name: {task}\n{options}profile: {profile}\nrule:\n  name: {rule}\n  lr: {lr}\nbackend: {backend}\n"
    "seed: {seed}\n"
)
CONTROLS = {
    "weather": {"constant_mean": 0.021, "ridge": 0.0041, "lagged_linear": 0.0031, "persistence": 0.0055},
    "copy": {"constant_mean": 0.1875, "ridge": 0.0121},
}
ARRAYS = {
    name: {"shape": shape, "w_s": 0.3, "sigma_weight_rms": 0.00612, "adc_step": 0.0078, "adc_full_scale": None}
    for name, shape in (("w_in", [100, 7]), ("w", [100, 100]), ("w_out", [1, 101]))
}
DEVICES = {
    "ideal": {"profile": "ideal", "write": "ideal", "effects_on": [], "node_sigma": 0.01},
    "pcm": {
        "profile": "pcm", "write": "verify", "effects_on": ["programming_error", "drift", "read_noise"],
        "node_sigma": 0.0, "perturbs_units": True, "arrays": ARRAYS,
    },
    "smtj_koenders": {"profile": "smtj_koenders", "write": "ideal", "effects_on": ["node_noise"], "node_sigma": 0.0123},
}  # fmt: skip
KINDS = ("array_reads", "dac", "adc", "writes", "node_noise", "digital")
COSTS = {"ideal": (None, 1.0), "pcm": (3.2e-6, 4.0), "smtj_koenders": (4.1e-8, 2.0)}


def predictions(task, rng, loss):
    if task == "copy":
        target = np.zeros((9, 12, 4))
        target[6:] = np.eye(4)[rng.integers(4, size=(3, 12))]
        mask = (np.arange(9) >= 6).astype(float)
    else:
        steps = np.arange(24 * 14).reshape(14, 24).T[:, :, None]
        scored = 0.5 + 0.2 * np.sin(2 * np.pi * steps / 24) + 0.1 * np.sin(2 * np.pi * steps / 170)
        target = np.concatenate([np.zeros((24, 14, 1)), scored])
        mask = (np.arange(48) >= 24).astype(float)
    noise = np.sqrt(loss) * rng.standard_normal(target.shape)
    return {"y": target + noise, "target": target, "mask": mask}


def activity(rng, steps=80, sequences=4, units=40, traces=3):
    """Leaky integrators with a hard reset, driven by two pulses and noise; every tenth gets none."""
    inputs = np.zeros((steps, sequences, 2))
    inputs[5:25, :, 0] = rng.choice([-1, 1], sequences)
    inputs[35:55, :, 1] = rng.choice([-1, 1], sequences)
    weights = 0.8 * rng.standard_normal((2, units))
    drive = 0.7 + inputs @ weights + 0.8 * rng.standard_normal((steps, sequences, units))
    drive[..., 5::10] = 0
    v, before, spikes = np.zeros((sequences, units)), [], []
    for now in drive:
        v = 0.95 * v + 0.05 * 1.6 * now
        before.append(v)
        spikes.append(v > 1)
        v = np.where(v > 1, 0, v)
    fired = np.array(spikes)
    return {
        "spikes": fired.astype(np.uint8), "v": np.array(before)[..., :traces].astype(np.float32),
        "v_threshold": np.ones(traces, np.float32), "rate_Hz": fired.mean((0, 1)) / 1e-3,
        "dt_s": np.array([1e-3]), "inputs": inputs.astype(np.float32),
    }  # fmt: skip


@pytest.fixture
def build(tmp_path):
    """Return a function that makes one run directory."""

    def make(
        task="weather",
        profile="pcm",
        rule="anp",
        seed=0,
        status="finished",
        final=0.0038,
        lr=0.01,
        updates=200,
        backend="rate",
        more="",
        **extra,
    ):
        rng = np.random.default_rng([seed, len(profile), len(rule)])
        options = "  length: 3\n  delay: 3\n" if task == "copy" else "  horizon: 24\n"
        number = sum(1 for path in tmp_path.iterdir() if path.is_dir())
        config = CONFIG.format(
            task=task, options=options, profile=profile, rule=rule, lr=lr, seed=seed, backend=backend
        )
        fields = {
            **environment(),
            "identity": f"{number:016x}",
            "profile": {"name": profile, "text": f"meta:\n  name: {profile}\n", "hash": f"{len(profile):064x}"},
            "device": DEVICES.get(profile, {}),
            "argv": ["neuroanp", "train", f"{task}.yaml", "--profile", profile, "--seed", str(seed)],
            "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
            "ended": f"2026-01-0{seed + 1}T10:05:00+00:00",
            "status": status,
            "log": ["perturbation: Gaussian 0.01 on the pre-activations"] if profile == "ideal" else [],
        }
        run = RunDir.create(tmp_path, f"run-{number}", config + more, {**fields, **extra})
        final = final * math.exp(0.15 * rng.standard_normal())
        u = np.arange(1, updates + 1)
        train = final + 0.05 * np.exp(-u / 25) * np.exp(0.2 * rng.standard_normal(updates))
        run.append_metrics(
            [
                {
                    "update": int(n),
                    "train_loss": x,
                    "test_loss": final + 0.05 * math.exp(-n / 25) if n % 10 == 0 else None,
                }
                for n, x in zip(u, train, strict=True)
            ]
        )
        if status == "running":
            return run
        energy, factor = COSTS.get(profile, (None, 1.0))
        done = status == "finished"
        jitter = 1 + 0.05 * rng.random()
        run.write_result(
            {
                "task": task, "profile": profile, "backend": backend, "rule": rule, "seed": seed, "status": status,
                "updates": updates, "passes": updates * 2, "test_loss": final if done else math.nan,
                "test_loss_noise_free": 0.9 * final if done else None,
                "score": 12 * final,
                "controls": CONTROLS[task] | {"frozen_recurrence": 0.008 + 0.001 * len(rule)},
                "energy_J": energy and energy * jitter,
                "chip_time_s": 0.5 * factor * jitter,
                "pulses": 0 if energy is None else 412_000, "wear": None if energy is None else 0.0021, "run": "",
            }
        )  # fmt: skip
        shares = dict.fromkeys(KINDS, None if energy is None else energy * jitter / 6)
        if profile == "smtj_koenders":
            shares |= {"dac": None, "adc": None}
        ledger = {
            "energy_J": energy and energy * jitter, "energy": shares, "time_s": 0.5 * factor,
            "time": {"reads": 0.4 * factor, "writes": 0.1 * factor}, "pulses": 412_000, "reads": 9_000,
            "clipped": 0.0123, "wear": 21, "wear_fraction": 0.0021, "unstated": ["write_time"] * (energy is None),
        }  # fmt: skip
        if backend != "rate":
            per = {"energy_per_spike_J": 2.5e-12, "energy_per_event_J": 8e-14}
            ledger |= {"spikes": 52_000, "events": 2_080_000, **(per if energy else dict.fromkeys(per))}
            arrays = activity(rng)
            run.save_arrays("activity", arrays)
            rates = arrays["rate_Hz"]
            run.update(firing={"rate_Hz": float(rates.mean()), "silent": float((rates == 0).mean())})
        run.update(ledger=ledger, scores={"nrmse": 12 * final, "loss": final})
        run.save_arrays("predictions", predictions(task, rng, final))
        return run

    return make
