"""neuroanp from Python: few lines, and what becomes of a run on a full disk."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neuroanp as na
from neuroanp.api import estimate
from neuroanp.comparing.pool import Outcome, _work
from neuroanp.devices.device import EFFECTS
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.profiles import available
from neuroanp.records import atomic
from neuroanp.records.metrics import Metrics
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.launch import launch, resume

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 6, "batch": 2, "checkpoint_every": 2, "controls": False},
}


@pytest.fixture
def runs(tmp_path):
    """The default store of a folder of its own to work in."""
    with pytest.MonkeyPatch.context() as patch:  # so that a test may undo its own patches
        patch.chdir(tmp_path)
        yield tmp_path / "runs"


def final(run: na.Run):
    """The end of a run without what a clock says."""
    tensors, _ = run.record.load_checkpoint(run.record.checkpoints()[-1])
    rows = [line.rpartition(",")[0] for line in (run.path / "metrics.csv").read_text().splitlines()]
    result = {key: value for key, value in run.result.items() if key != "run"}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, rows, result


def test_a_run_takes_one_line(runs):
    run = na.train(TINY, profile="pcm", rule="anp", seed=4)
    assert run.path.parent.resolve() == runs
    assert (run.result["profile"], run.result["seed"], run.result["status"]) == ("pcm", 4, "finished")
    assert list(run.metrics["update"]) == [0, 6]
    assert (run.path / "report.html").is_file()
    assert run.report(runs / "mine.html").read_text().startswith("<!")
    again = na.load_run(run.path)
    assert (again.config, again.result) == (run.config, run.result)


def test_words_override_a_file_and_overrides_reach_anything(runs):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))
    run = na.train("tiny.yaml", updates=2, overrides={"rule.K": 2, "optimizer.lr": "1e-2"})
    assert (run.result["updates"], run.config.rule.K, run.config.optimizer.lr) == (2, 2, 1e-2)


def test_compare_twice_in_one_process(runs, monkeypatch):
    """The package has a room for comparisons: it must not get in the way of the function."""
    monkeypatch.setattr(  # no processes: tests/comparing has them
        "neuroanp.comparing.pool.run_all",
        lambda jobs, workers, tell: [Outcome("", launch(job.config, job.root).path) for job in jobs],
    )
    first = na.compare(TINY, rules=["anp", "bptt"], workers=1, argv=["mine"])
    again = na.compare(TINY, rules=["anp", "bptt"], workers=1, argv=["mine"])
    assert [row["rule"] for row in first.results] == ["anp", "bptt"]
    assert again.results == first.results
    assert (again.report, again.failed) == (first.report, [])
    assert first.report.is_file()
    import neuroanp.comparing.grid  # noqa: F401 - what an import of it once did

    assert callable(na.compare)


def test_a_damaged_record_is_a_failure_beside_the_others(runs, monkeypatch):
    damaged = Experiment.of(na.configure(TINY, seed=1)).directory
    (runs / damaged).mkdir(parents=True)
    (runs / damaged / "manifest.json").write_text("{")

    def in_turn(jobs, workers, tell):
        return [_work(job, None) for job in jobs]  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("neuroanp.comparing.pool.run_all", in_turn)
    monkeypatch.setattr("neuroanp.comparing.pool._say", lambda *said: None)
    found = na.compare(TINY, seeds=2, argv=["mine"])
    assert [row["seed"] for row in found.results] == [0]
    ((label, message),) = found.failed
    assert label == "copy ideal anp seed 1"
    assert "manifest.json" in message


def test_every_word_of_the_package_is_there():
    for name in na.__all__:
        assert getattr(na, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = na.trian  # pyright: ignore[reportAttributeAccessIssue]


def test_a_word_that_train_does_not_take_is_said_with_the_way_to_write_it(runs):
    with pytest.raises(InputError) as caught:
        na.train(task="copy", hidden=10, sed=3, K=4)
    assert "(known: task, encoder, network, profile," in caught.value.message
    hidden, sed, K = caught.value.problems
    assert "overrides={'network.hidden': 10}" in hidden
    assert "did you mean 'seed'?" in sed
    assert "dotted key" in K
    assert not runs.exists()


def test_the_metrics_of_a_run_are_the_documented_ones(runs):
    columns = list(na.train(TINY).metrics.columns)
    said = re.findall(r"\w+", str(Metrics.__doc__))
    assert [name for name in columns if name not in said] == []
    assert "chip_time_s" in said


def test_a_comparison_needs_no_affinity(runs, monkeypatch):
    """macOS has no os.sched_getaffinity."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    taken = []

    def staffed(jobs, workers, tell):
        taken.append(workers)
        return [Outcome("copy", None, "not run")]

    monkeypatch.setattr("neuroanp.comparing.pool.run_all", staffed)
    with pytest.raises(RunError, match="not run"):
        na.compare(TINY)
    assert taken == [os.cpu_count() or 1]


def test_report_of_runs_and_stores(runs):
    run = na.train(TINY)
    assert na.report([run.path]) == run.path / "report.html"
    assert na.report([runs], runs / "all.html").is_file()
    with pytest.raises(InputError, match="nowhere: no such directory"):
        na.report(["nowhere"])


def test_a_finished_run_is_shown_by_all_doors(runs):
    run = na.train(TINY)
    before = {path: path.stat().st_mtime_ns for path in run.path.iterdir() if path.name != ".lock"}
    assert na.train(TINY).result == na.resume(run.path).result == na.load_run(run.path).result == run.result
    assert {path: path.stat().st_mtime_ns for path in run.path.iterdir() if path.name != ".lock"} == before


def test_what_is_not_there_yet_is_said(runs):
    experiment = Experiment.of(na.configure(TINY))
    record = RunDir.create(runs, "begun", experiment.config.to_yaml(), {"identity": experiment.identity})
    run = na.load_run(record.path)
    for look in (lambda: run.result, run.weights):
        with pytest.raises(InputError, match=f"neuroanp resume .*{record.path.name}"):
            look()
    with pytest.raises(InputError, match="no such directory"):
        na.load_run(runs / "nowhere")


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("profile", "write"), [("ideal", "ideal"), ("pcm", "verify"), ("rram_hfo2", "pulse")])
def test_weights_are_the_trained_ones(runs, profile, write, bias):
    overrides = {"network.bias": bias, "hardware.write": write, "optimizer.lr": 0.05}
    run = na.train(TINY, profile=profile, overrides=overrides)
    weights = run.weights()
    assert {name: tuple(W.shape) for name, W in weights.items()} == {
        "w_in": (6, 3 + bias), "w": (6, 6), "w_out": (2, 6 + bias),
    }  # fmt: skip
    assert (weights.inputs, weights.hidden, weights.outputs, weights.bias) == (3, 6, 2, bias)
    from neuroanp.training.build import build_trainer

    trainer = build_trainer(Experiment.of(run.config))
    untrained = trainer.substrate.targets["w"]
    newest = run.record.latest_checkpoint()
    assert newest is not None
    trainer.load_state_dict(run.record.load_checkpoint(newest)[0])
    for name, W in trainer.substrate.targets.items():
        assert torch.equal(weights[name], W)
    assert float((weights["w"] - untrained).abs().max()) > 1e-4


def test_an_estimate_costs_no_record(runs):
    assert na.estimate is estimate
    assert {*na.__all__} - {"__version__"} == {*na.api.__all__} - {"runs_of_ablation"}
    found = estimate(na.configure(TINY))
    assert found["passes"] == 6 * 2
    assert not runs.exists()


@pytest.mark.parametrize(("after", "words"), [(5, "write e.g. '5 h'"), ([0.5], "write e.g. '0.5 h'"), (None, "1 h")])
def test_idle_times_without_a_unit_are_refused(after, words, runs):
    with pytest.raises(InputError, match=words):
        na.evaluate(runs / "any", after=after)


# ---- configurations and identities ----

TASKS = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("copy")},
        optional={"length": st.integers(1, 9), "delay": st.integers(0, 9), "cue": st.sampled_from(["recall", "start"])},
    ),
    st.just({"name": "mackey_glass"}),
    st.just("copy"),
)
RULES = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("anp")},
        optional={
            "preset": st.sampled_from(["default", "paper"]),
            "reference": st.sampled_from(["two", "mean", "silent"]),
            "K": st.integers(1, 4096),
            "gamma": st.floats(0, 1),
            "norm": st.sampled_from(["global", "layer"]),
            "eps": st.floats(1e-40, 1e-3, exclude_min=True),
        },
    ),
    st.fixed_dictionaries({"name": st.just("bptt")}, optional={"truncation": st.none() | st.integers(1, 99)}),
    st.sampled_from(["anp", "bptt1"]),
)
SOURCES = st.fixed_dictionaries(
    {"task": TASKS},
    optional={
        "rule": RULES,
        "profile": st.sampled_from(available()),
        "network": st.fixed_dictionaries({"hidden": st.integers(1, 10**5), "bias": st.booleans()}),
        "perturbation": st.sampled_from(["auto", "none", "gaussian"])
        | st.fixed_dictionaries({"name": st.just("gaussian"), "sigma": st.floats(1e-9, 10)}),
        "hardware": st.fixed_dictionaries(
            {}, optional={"only": st.lists(st.sampled_from(EFFECTS)), "without": st.lists(st.sampled_from(EFFECTS))}
        ),
        "optimizer": st.fixed_dictionaries(
            {}, optional={"lr": st.floats(1e-12, 1e3), "clip": st.none() | st.floats(1e-9, 1e9)}
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"updates": st.integers(1, 99_999_999), "memory": st.sampled_from(["1 GiB", "3 MiB", "17 B"])}
        ),
        "seed": st.integers(0, 2**63 - 1),
        "dt": st.sampled_from(["1 us", "250 ns", "3.7 ms", "0.1 s", "333.3333333333333 ns"])
        | st.floats(1e-9, 1e-3).map(lambda s: f"{s!r} s"),
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(source=SOURCES)
def test_a_resolved_configuration_is_read_back_as_it_is(source):
    config = na.configure(source)
    assert na.configure(config.to_plain()) == config
    assert na.configure(yaml.safe_load(config.to_yaml())) == config
    assert na.configure(config.to_plain()).to_yaml() == config.to_yaml()


def test_a_resolved_configuration_is_read_back_from_its_file(tmp_path):
    config = na.configure(TINY, {"rule.gamma": 0.1 + 0.2, "optimizer.lr": 1e-5, "dt": "3 ms"})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert na.configure(tmp_path / "config.yaml") == config


def test_how_a_configuration_is_said_is_no_part_of_its_identity():
    said = [
        na.configure({"task": "copy", "rule": {"name": "anp", "K": 2}, "dt": "1 us"}, seed=3),
        na.configure({"seed": 3}, {"rule.K": "2", "dt": "1000 ns", "task": "copy"}),
        na.configure({"task": {"name": "copy"}, "hardware": {"without": []}, "training": {"memory": "1024 MiB"}},
                     {"rule.K": 2, "seed": 3}),
    ]  # fmt: skip
    assert len({Experiment.of(config).identity for config in said}) == 1


def test_whatever_changes_the_result_changes_the_identity():
    changes = [
        {}, {"seed": 1}, {"profile": "pcm"}, {"rule.gamma": 0.5}, {"optimizer.lr": 2e-3}, {"network.hidden": 7},
        {"task.delay": 2}, {"hardware.without": ["drift"]}, {"perturbation.sigma": 0.02}, {"dt": "2 us"},
        {"compute.dtype": "float64"}, {"training.batch": 3}, {"rule": "bptt"},
    ]  # fmt: skip
    assert len({Experiment.of(na.configure(TINY, change)).identity for change in changes}) == len(changes)


def test_the_content_of_a_profile_decides_not_its_place(tmp_path):
    identities = []
    for folder, extra in (("a", ""), ("b", ""), ("c", "array: {weight_range: 5}\n")):
        path = tmp_path / folder / "mine.yaml"
        path.parent.mkdir()
        path.write_text(f"extends: pcm\nmeta: {{name: mine}}\n{extra}")
        identities.append(Experiment.of(na.configure(TINY, {"profile": str(path)})).identity)
    assert identities[0] == identities[1] != identities[2]


# ---- a full disk ----


LOGGED = {**TINY, "profile": "pcm", "training": {**TINY["training"], "log_every": 1}}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return final(na.Run(launch(na.configure(LOGGED), tmp_path_factory.mktemp("whole"))))


@pytest.mark.parametrize(
    ("name", "number", "left"),
    [
        ("00000004.safetensors", errno.ENOSPC, "00000002"),
        ("00000004.safetensors", errno.EDQUOT, "00000002"),
        ("metrics.csv", errno.ENOSPC, "00000002"),
        ("predictions.safetensors", errno.ENOSPC, "00000006"),
        ("result.json", errno.ENOSPC, "00000006"),
    ],
)
def test_a_full_disk_ends_the_run_with_what_was_there_intact(runs, monkeypatch, undisturbed, name, number, left):
    """The file is half written when the disk is full; resumed, the run ends as if nothing had been."""
    write = os.write

    def full(handle: int, data: bytes) -> int:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if name not in path or (name == "metrics.csv" and b"\n4," not in b"\n" + bytes(data)):
            return write(handle, data)
        write(handle, bytes(data[: len(data) // 2]))
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(RunError, match=r"disk is full|quota is used up") as caught:
        na.train(LOGGED)
    assert caught.value.exit_code == 1
    assert re.search(r"intact.*[Ff]ree some space.*resume", str(caught.value))
    monkeypatch.undo()
    (path,) = runs.glob("[!.]*")
    record = RunDir.open(path)
    assert record.manifest["status"] == "failed"
    assert not list(path.rglob(".*.tmp"))
    newest = record.latest_checkpoint()
    assert record.warnings == []
    assert newest is not None
    assert newest.stem == left
    assert final(na.Run(resume(path))) == undisturbed


def test_a_disk_that_stays_full_is_said_once_and_clearly(runs, monkeypatch):
    """Not even the status can be written then."""
    open_, begun = os.open, []

    def full(path, flags, *args, **kwargs):
        begun.append(str(path).endswith(f"00000002.safetensors.{os.getpid()}.tmp"))
        if any(begun) and flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open_(path, flags, *args, **kwargs)

    monkeypatch.setattr(atomic.os, "open", full)
    with pytest.raises(RunError, match=r"00000002.safetensors: not written, the disk is full"):
        na.train(TINY)
    monkeypatch.undo()
    (path,) = runs.glob("[!.]*")
    assert RunDir.open(path).manifest["status"] == "running"
    assert na.resume(path).result["status"] == "finished"


def test_a_diverged_run_is_told_and_kept(runs):
    with pytest.raises(DivergedError, match="diverged at update") as caught:
        na.train(TINY, overrides={"optimizer.name": "sgd", "optimizer.lr": 1e3, "training.updates": 200})
    (path,) = runs.glob("[!.]*")
    run = na.load_run(path)
    assert caught.value.path is not None
    assert caught.value.path.resolve() == path.resolve()
    assert run.result["status"] == "diverged"
    assert run.result["test_loss"] is None
    assert na.report([path]).is_file()


@pytest.mark.slow
def test_the_command_on_a_full_disk_ends_with_1_and_goes_on_afterwards(tmp_path):
    """The system itself refuses to let a file grow: RLIMIT_FSIZE, below the size of a checkpoint."""
    config = na.configure(TINY, {"network.hidden": 60, "training.updates": 8})
    (tmp_path / "tiny.yaml").write_text(config.to_yaml())
    command = [sys.executable, "-m", "neuroanp", "train", "tiny.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))

    first = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, preexec_fn=small_disk
    )  # fmt: skip
    assert first.returncode == 1, first.stderr
    assert "size limit" in first.stderr
    assert "Traceback" not in first.stderr
    assert "bug" not in first.stderr
    (path,) = (tmp_path / "runs").glob("[!.]*")
    assert RunDir.open(path).checkpoints() == []
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert final(na.load_run(path)) == final(na.train(config.to_plain(), runs=tmp_path / "whole"))
