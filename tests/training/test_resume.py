"""A run that is cut anywhere ends as one that was not: bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from neuroanp.profiles.loader import available
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch, resume

SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 16},
    "network": {"hidden": 12, "bias": True},
    "rule": {"name": "anp", "reference": "mean", "K": 2},
    "training": {
        "updates": 20,
        "batch": 4,
        "checkpoint_every": 10,
        "evaluate_every": 5,
        "log_every": 1,
        "controls": False,
    },
}
WRITES = ("ideal", "verify", "pulse")


def possible(profile: str, write: str) -> bool:
    from neuroanp.profiles.loader import load

    return write != "pulse" or load(profile).update is not None


CASES = [(p, w) for p in available() for w in WRITES if possible(p, w)]


def dt(profile: str) -> str:
    """A step of time that is long enough for a read of the profile."""
    from neuroanp.profiles.loader import load
    from neuroanp.units import format_quantity

    periphery = load(profile).periphery
    if periphery is None:
        return "1 us"
    dac = periphery.dac
    reads = dac.bits if dac is not None and dac.inputs == "bit_serial" else 1
    return format_quantity(max(reads * periphery.t_read, 1e-6), "s")


def config(profile: str, write: str = "auto", **training):
    overrides = {f"training.{name}": value for name, value in training.items()}
    return configure(SMALL, {"profile": profile, "hardware.write": write, "dt": dt(profile), **overrides})


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two states hold the same bits (NaN equals NaN)."""
    return a.keys() == b.keys() and all(
        a[n].dtype == b[n].dtype and a[n].cpu().numpy().tobytes() == b[n].cpu().numpy().tobytes() for n in a
    )


@pytest.mark.parametrize(("profile", "write"), CASES)
def test_20_updates_equal_10_and_10_more(profile, write, tmp_path):
    experiment = Experiment.of(config(profile, write))
    whole, first, second = (build_trainer(experiment) for _ in range(3))
    for _ in range(20):
        whole.step()
    for _ in range(10):
        first.step()
    record = RunDir.create(tmp_path, "run", "seed: 0\n", {})
    path = record.save_checkpoint(10, first.state_dict(), {})
    second.load_state_dict(record.load_checkpoint(path)[0])
    for _ in range(10):
        second.step()
    assert same(whole.state_dict(), second.state_dict())


def final(record: RunDir):
    """The end of a run without what a clock says: last checkpoint, metrics, result, predictions."""
    tensors, _ = record.load_checkpoint(record.checkpoints()[-1])
    metrics = [",".join(line.split(",")[:-1]) for line in (record.path / "metrics.csv").read_text().splitlines()]
    result = {key: value for key, value in (record.result or {}).items() if key != "run"}
    return {n: t.numpy().tobytes() for n, t in tensors.items()}, metrics, result


@pytest.mark.parametrize("profile", ["pcm", "smtj_koenders"])
def test_interrupted_run_resumes_to_the_same_end(profile, tmp_path, monkeypatch):
    whole = launch(config(profile), tmp_path / "whole")
    told = []

    def stop_at_7(event):
        told.append(event)
        if event["phase"] == "train" and event["update"] >= 7 and len(told) < 1000:
            told.extend([event] * 1000)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
    from neuroanp.errors import RunError

    with pytest.raises(RunError, match=r"interrupted at update \d+ of 20; continue with: neuroanp resume"):
        launch(config(profile), tmp_path / "cut", progress=stop_at_7)
    (path,) = (tmp_path / "cut").iterdir()
    cut = RunDir.open(path)
    assert cut.manifest["status"] == "interrupted"
    assert 0 < int(cut.checkpoints()[-1].stem) < 20
    assert final(resume(path)) == final(whole)


def reached(store: Path) -> int:
    """The newest checkpoint's update in a store of one run, 0 before there is one."""
    return max((int(path.stem) for path in store.glob("*/checkpoints/*.safetensors")), default=0)


# one of each way to write and to be noisy; every profile's checkpoint is held to its bits by the contract of chips
KILLED = ["ideal", "pcm", "pcm_tiles", "rram_hfo2", "rram_rtn", "capacitor", "smtj_koenders", "smtj_telegraph"]
SOME = ("pcm_tiles",)
"""What is killed in the slow tier; trials of all kinds of runs are those of benchmarks/faults."""


@pytest.mark.slow
@pytest.mark.parametrize("profile", [pytest.param(p, marks=[pytest.mark.long] * (p not in SOME)) for p in KILLED])
def test_killed_run_resumes_to_the_same_end(profile, tmp_path):
    """SIGKILL at random moments, again and again; the last process is left to reach the end."""
    plain = config(profile, updates=300, checkpoint_every=7)
    whole = launch(plain, tmp_path / "whole")
    (tmp_path / "run.yaml").write_text(plain.to_yaml())
    command = [sys.executable, "-m", "neuroanp", "train", "run.yaml", "--runs", "cut", "--no-progress"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    rng, kills = random.Random(profile), 0
    for target in [*sorted(rng.sample(range(7, 250), 3)), None]:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None and (target is None or reached(tmp_path / "cut") < target):
            time.sleep(0.001)
        if target is not None and process.poll() is None:
            time.sleep(rng.uniform(0, 0.02))  # anywhere between two checkpoints, or in the middle of one
            process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert process.returncode == 0
    assert kills >= 1
    (path,) = (tmp_path / "cut").glob("copy-*")
    assert final(RunDir.open(path)) == final(whole)


def test_identical_run_is_shown_not_repeated(tmp_path):
    first = launch(config("ideal"), tmp_path)
    before = (first.path / "manifest.json").stat().st_mtime_ns
    assert launch(config("ideal"), tmp_path).path == first.path
    assert (first.path / "manifest.json").stat().st_mtime_ns == before
    launch(config("ideal"), tmp_path, force=True)
    assert (first.path / "manifest.json").stat().st_mtime_ns > before


def test_every_seed_profile_and_option_is_a_run_of_its_own():
    base = Experiment.of(config("ideal")).identity
    others = [
        config("pcm"),
        config("ideal", updates=21),
        configure(SMALL, {"seed": 1}),
        configure(SMALL, {"rule.K": 3}),
    ]
    found = {base, *(Experiment.of(other).identity for other in others)}
    assert len(found) == 5


def test_changing_the_profile_shifts_no_other_stream():
    """The same untrained network and the same batches, whatever the hardware."""
    trainers = [build_trainer(Experiment.of(config(profile, "ideal"))) for profile in ("ideal", "pcm")]
    batches = [s.lab().inputs for s in trainers]
    assert torch.equal(*batches)
    targets = [s.substrate.weights["w"] for s in trainers]
    assert torch.allclose(*targets, atol=1e-6)
