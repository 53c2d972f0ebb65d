"""neuroanp from Python: few lines, and what becomes of a run on a full disk."""

from __future__ import annotations

import errno
import inspect
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import neuroanp as na
from neuroanp.api import estimate
from neuroanp.comparing.worker import Outcome, work
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.records import atomic
from neuroanp.records.metrics import Metrics
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.values import digits
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


def in_turn(jobs, workers, tell, logged):
    """Do the jobs of a comparison without processes: tests/comparing has them."""
    return [Outcome("", launch(job.config, job.root).path) for job in jobs]


def test_a_run_takes_one_line(runs):
    run = na.train(TINY, profile="pcm", rule="anp", seed=4)
    assert run.path.parent.resolve() == runs
    assert (run.result["profile"], run.result["seed"], run.result["status"]) == ("pcm", 4, "finished")
    assert list(run.metrics["update"]) == [0, 1, 2, 3, 4, 5, 6]
    assert (run.path / "report.html").is_file()
    assert run.report(runs / "mine.html").read_text().startswith("<!")
    again = na.load_run(run.path)
    assert (again.config, again.result) == (run.config, run.result)


def test_words_override_a_file_and_overrides_reach_anything(runs):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))
    run = na.train("tiny.yaml", updates=2, overrides={"rule.K": 2, "optimizer.lr": "1e-2"}, report=False)
    assert (run.result["updates"], run.config.rule.K, run.config.optimizer.lr) == (2, 2, 1e-2)


def test_compare_twice_in_one_process(runs, monkeypatch):
    """The package has a room for comparisons: it must not get in the way of the function."""
    monkeypatch.setattr("neuroanp.comparing.pool.run_all", in_turn)
    first = na.compare(TINY, rules=["anp", "bptt"], workers=1, argv=["mine"])
    again = na.compare(TINY, rules=["anp", "bptt"], workers=1, argv=["mine"])
    assert [row["rule"] for row in first.results] == ["anp", "bptt"]
    assert again.results == first.results
    assert (again.report, again.failed) == (first.report, [])
    assert first.report.is_file()
    import neuroanp.comparing.grid  # noqa: F401 - what an import of it once did

    assert callable(na.compare)


def test_a_file_in_the_place_of_a_comparison_s_report_is_said(runs, monkeypatch):
    monkeypatch.setattr("neuroanp.comparing.pool.run_all", in_turn)
    page = na.compare(TINY, seeds=1).report
    assert page is not None
    folder = page.parent
    shutil.rmtree(folder)
    folder.write_text("mine")
    with pytest.raises(InputError, match=f"{folder.name} is a file, no folder; move away what is there"):
        na.compare(TINY, seeds=1)
    assert folder.read_text() == "mine"


def test_a_damaged_record_is_a_failure_beside_the_others(runs, monkeypatch):
    damaged = Experiment.of(na.configure(TINY, seed=1)).directory
    (runs / damaged).mkdir(parents=True)
    (runs / damaged / "manifest.json").write_text("{")

    def in_turn(jobs, workers, tell, logged):
        return [work(job, lambda kind, content: None) for job in jobs]

    monkeypatch.setattr("neuroanp.comparing.pool.run_all", in_turn)
    found = na.compare(TINY, seeds=2, argv=["mine"])
    assert [row["seed"] for row in found.results] == [0]
    ((label, message),) = found.failed
    assert label == "copy ideal anp seed 1"
    assert "manifest.json" in message


def test_every_word_of_the_package_is_there_and_help_names_it():
    for name in na.__all__:
        assert getattr(na, name) is not None
        assert re.search(rf"\b{name}\b", str(na.__doc__)) or name == "__version__"
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = na.trian  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_lists_its_words_and_gives_them_all_at_once():
    code = (
        "import sys, neuroanp as na; words = dir(na);"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules), 'heavy';"
        "assert {*na.__all__, 'api', 'export'} <= {*words} and 'Any' not in words, words;"
        "import rlcompleter; found = rlcompleter.Completer({'na': na}).attr_matches('na.');"
        "assert {'na.train(', 'na.export('} <= {*found}, found;"
        "from neuroanp import *; assert train is na.train and export is na.export and na.api.train is train"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


def test_export_is_a_word_and_a_package(runs):
    import neuroanp.export.onnx as module

    run = na.train(TINY, report=False)
    assert na.export.onnx is module  # pyright: ignore[reportFunctionMemberAccess]
    assert na.export(run, "onnx") == na.api.export(run, "onnx", force=True)
    assert inspect.signature(na.export) == inspect.signature(na.api.export)


def test_the_report_can_wait(runs, monkeypatch):
    monkeypatch.setattr("neuroanp.comparing.pool.run_all", in_turn)
    run = na.train(TINY, report=False)
    assert not (run.path / "report.html").exists()
    assert na.train(TINY, report=False).path == na.resume(run, report=False).path == run.path
    assert not (run.path / "report.html").exists()
    assert run.report() == run.path / "report.html"
    found = na.compare(TINY, report=False)
    assert (found.report, len(found.runs)) == (None, 1)
    assert [path.name for path in runs.iterdir()] == [run.path.name]
    assert na.report(found, runs / "all.html") == runs / "all.html"


def test_a_line_tells_what_a_thing_is(runs):
    run = na.train(TINY, seed=4, report=False)
    loss = digits(run.result["test_loss"])
    assert repr(run) == f"Run(copy · ideal · anp · seed 4: test loss {loss}, finished; runs/{run.path.name})"
    assert f"<td>{loss}</td>" in str(run._repr_html_())
    both = na.Comparison([run, run], [("copy <b> seed 1", "no")], None)
    said = f"Comparison(2 runs, 1 failed; lowest test loss {loss} of copy · ideal · anp · seed 4; no report)"
    assert repr(both) == said
    assert "copy &lt;b&gt; seed 1: no" in str(both._repr_html_())
    assert repr(run.metrics).startswith("Metrics(7 rows, the last of update 6; update, train_loss, ")
    assert "w_in (6, 3)" in repr(run.weights())
    experiment = Experiment.of(run.config)
    batch = experiment.task.test(np.random.default_rng(0))
    assert repr(batch) == "Batch(8 sequences of 3 steps, 3 inputs, 2 outputs, 1 steps scored)"
    begun = RunDir.create(runs, "begun", experiment.config.to_yaml(), {"identity": experiment.identity})
    assert repr(na.load_run(begun.path)) == "Run(begun: no result yet, running; runs/begun)"
    assert na.load_run(begun.path)._repr_html_() is None
    for place in (run.path, run.path / "copies"):
        (place / "result.json").write_text("{")
    assert repr(na.load_run(run.path)) == f"Run(its record is damaged; runs/{run.path.name})"
    assert na.load_run(run.path)._repr_html_() is None


def test_a_run_goes_by_the_beginning_of_its_name_or_its_hash(runs):
    one, two = na.train(TINY, report=False), na.train(TINY, seed=1, report=False)
    for said in (one.path.name[:18], f"runs/{one.path.name[:18]}", one.record.manifest["identity"][:9]):
        assert na.load_run(said).path == one.path
        assert na.resume(said, report=False).path == one.path
    with pytest.raises(InputError, match="2 runs begin so; write more of the name") as caught:
        na.evaluate("copy-ideal")
    assert caught.value.problems == (str(one.path), str(two.path))
    with pytest.raises(InputError, match="copy-pcm: no such directory"):
        na.load_run("copy-pcm")
    stored = na.train(TINY, network={"weights": one.path.name[:18]}, report=False)
    assert stored.config.network.weights == str(one.path.resolve())


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

    def staffed(jobs, workers, tell, logged):
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
    run = na.train(TINY, profile=profile, overrides=overrides, report=False)
    weights = run.weights(as_held=False)
    assert {name: tuple(W.shape) for name, W in weights.items()} == {
        "w_in": (6, 3 + bias), "w": (6, 6), "w_out": (2, 6 + bias),
    }  # fmt: skip
    network = weights.network
    assert (network.inputs, network.hidden, network.outputs, network.bias) == (3, 6, 2, bias)
    from neuroanp.training.build import build_trainer

    trainer = build_trainer(Experiment.of(run.config))
    untrained = trainer.substrate.weights["w"]
    newest = run.record.latest_checkpoint()
    assert newest is not None
    trainer.load_state_dict(run.record.load_checkpoint(newest)[0])
    for name, W in trainer.substrate.weights.items():
        assert torch.equal(weights[name], W)
    assert float((weights["w"] - untrained).abs().max()) > 1e-4


def test_an_estimate_costs_no_record(runs):
    assert na.estimate is estimate
    assert {*na.__all__} - {"__version__"} == {*na.api.__all__} - {"runs_of_comparison"}
    found = estimate(na.configure(TINY))
    assert found["passes"] == 6 * 2
    assert not runs.exists()


@pytest.mark.parametrize(("after", "words"), [(5, "write e.g. '5 h'"), ([0.5], "write e.g. '0.5 h'"), (None, "1 h")])
def test_idle_times_without_a_unit_are_refused(after, words, runs):
    with pytest.raises(InputError, match=words):
        na.evaluate(runs / "any", after=after)


# ---- configurations and identities ----


def test_a_resolved_configuration_is_read_back_from_its_file(tmp_path):
    config = na.configure(TINY, {"rule.gamma": 0.1 + 0.2, "optimizer.lr": 1e-5, "dt": "3 ms"})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert na.configure(tmp_path / "config.yaml") == config


def test_how_a_configuration_is_said_is_no_part_of_its_identity():
    said = [
        na.configure(
            {"task": "copy", "rule": {"name": "anp", "K": 2}, "dt": "1 us", "training": {"memory": "1 GiB"}}, seed=3
        ),
        na.configure({"seed": 3, "rule": "anp"},
                     {"rule.K": "2", "dt": "1000 ns", "task": "copy", "training.memory": "1048576 KiB"}),
        na.configure({"task": {"name": "copy"}, "hardware": {"without": []}, "training": {"memory": "1024 MiB"}},
                     {"rule.name": "anp", "rule.K": 2, "seed": 3}),
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
        na.train(TINY, rule="anp", overrides={"optimizer.name": "sgd", "optimizer.lr": 1e3, "training.updates": 200})
    (path,) = runs.glob("[!.]*")
    run = na.load_run(path)
    assert caught.value.path is not None
    assert caught.value.path.resolve() == path.resolve()
    assert run.result["status"] == "diverged"
    assert run.result["test_loss"] is None
    assert na.report([path]).is_file()


@pytest.mark.long
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
