"""One run over processes that torchrun starts: the run of one process, whatever happens to them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.ranks import Place

from .test_resume import same

CONFIG = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "profile": "pcm",
    "rule": {"name": "anp", "preset": "default", "reference": "two", "K": 6},
    "network": {"hidden": 6},
    "training": {"updates": 30, "batch": 3, "checkpoint_every": 5, "controls": True},
    "compute": {"shards": 3},
}


def torchrun(folder: Path, config: dict, size: int = 2, restarts: int = 0, updates: int | None = None):
    """Start a run in a folder by torchrun, on this machine's loopback alone."""
    if updates is not None:
        config = {**config, "training": {**config["training"], "updates": updates}}
    (folder / "c.yaml").write_text(json.dumps(config))
    words = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "--max-restarts", str(restarts),
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1",
        "-m", "neuroanp", "train", "c.yaml", "--no-progress", "--no-report",
    ]  # fmt: skip
    out = (folder / "out.txt").open("w")
    with out:
        return subprocess.Popen(words, cwd=folder, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})


def left(folder: Path):
    """Return the result of the one run of a folder, and its last checkpoint."""
    (run,) = (path.parent for path in folder.glob("runs/*/result.json"))
    *_, last = sorted((run / "checkpoints").iterdir())
    return json.loads((run / "result.json").read_text()), load_file(last)


def same_run(folder: Path, alone) -> bool:
    result, state = left(folder)
    known = {key: value for key, value in alone.result.items() if key not in ("run", "seal")}
    kept, _ = alone.load_checkpoint(alone.latest_checkpoint())
    return {key: result[key] for key in known} == known and same(state, kept)


def ranks_of(pid: int) -> dict[int, int]:
    """Return the processes that a torchrun started, by rank."""
    found = {}
    for each in Path("/proc").iterdir():
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            said = dict(word.partition("=")[::2] for word in (each / "environ").read_text().split("\0"))
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid and "RANK" in said:
            found[int(said["RANK"])] = int(each.name)
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def under_way(folder: Path, process, update: int) -> dict[int, int]:
    """Wait until a run has a checkpoint, and return its processes by rank."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if len(found := [*folder.glob(f"runs/*/checkpoints/*{update:08d}*")]) and (ranks := ranks_of(process.pid)):
            assert found
            return ranks
        time.sleep(0.05)
    raise AssertionError((folder / "out.txt").read_text()[-2000:])


@pytest.mark.slow
def test_two_processes_of_torchrun_are_the_run_of_one(tmp_path: Path):
    """With its control, for which the others become copies of another trainer; they say nothing by themselves."""
    process = torchrun(tmp_path, CONFIG)
    assert process.wait(300) == 0, (tmp_path / "out.txt").read_text()[-2000:]
    assert same_run(tmp_path, launch(configure(CONFIG), tmp_path / "alone"))
    assert (tmp_path / "out.txt").read_text().count("frozen recurrence") == 1


@pytest.mark.long
@pytest.mark.parametrize("rule", [{"name": "cdrge", "K": 4}, {"name": "wp", "K": 4}, {"name": "echo", "K": 9}],
                         ids=lambda rule: rule["name"])  # fmt: skip
def test_rules_with_scalars_or_with_a_state_are_shared_too(tmp_path: Path, rule):
    config = {**CONFIG, "rule": rule, "profile": "ideal", "training": {**CONFIG["training"], "controls": False}}
    config["compute"] = {"shards": 3} if rule["name"] == "echo" else {}
    process = torchrun(tmp_path, config, updates=10)
    assert process.wait(300) == 0, (tmp_path / "out.txt").read_text()[-2000:]
    assert same_run(tmp_path, launch(configure(config, {"training.updates": 10}), tmp_path / "alone"))


@pytest.mark.long
@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_process_that_is_killed_is_started_again_with_the_others(tmp_path: Path, rank):
    process = torchrun(tmp_path, CONFIG, restarts=2, updates=300)
    os.kill(under_way(tmp_path, process, 20)[rank], signal.SIGKILL)
    assert process.wait(300) == 0, (tmp_path / "out.txt").read_text()[-2000:]
    assert same_run(tmp_path, launch(configure(CONFIG, {"training.updates": 300}), tmp_path / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize("loading", [True, pytest.param(False, marks=pytest.mark.long)],
                         ids=["as libraries are loaded", "as it trains"])  # fmt: skip
def test_what_torchrun_leaves_behind_when_it_is_killed_ends_within_five_seconds(tmp_path: Path, loading):
    """And the same command goes on from there."""
    process = torchrun(tmp_path, CONFIG, updates=400)
    while loading and len(ranks := ranks_of(process.pid)) < 2:
        time.sleep(0.05)
    if loading:
        time.sleep(0.3)  # Python itself has begun
    else:
        ranks = under_way(tmp_path, process, 20)
    process.kill()
    process.wait()
    end = time.monotonic() + 5
    while time.monotonic() < end and any(map(alive, ranks.values())):
        time.sleep(0.1)
    assert not any(map(alive, ranks.values()))
    if loading:
        return
    assert torchrun(tmp_path, CONFIG, updates=400).wait(300) == 0
    assert same_run(tmp_path, launch(configure(CONFIG, {"training.updates": 400}), tmp_path / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compute": {"shards": 3, "sums": "float"}}, "compute.sums: with 'float' a run depends on the number"),
        pytest.param(
            {"rule": {"name": "bptt"}, "compute": {}}, "2 processes, and an update of rule 'bptt' has nothing",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"rule": {"name": "anp", "K": 1}, "compute": {}}, "has 1 shards; start fewer, or raise rule.K",
            marks=pytest.mark.long,
        ),
    ],
    ids=["float", "bptt", "replicas"],
)  # fmt: skip
def test_what_cannot_be_shared_ends_all_with_one_message(tmp_path: Path, changes, said):
    process = torchrun(tmp_path, {**CONFIG, **changes})
    assert process.wait(120) != 0
    out = (tmp_path / "out.txt").read_text()
    assert out.count("error: ") == 1
    assert said in " ".join(out.split())
    assert not [*tmp_path.glob("runs/*")]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK and WORLD_SIZE of the environment"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK 2 is none of WORLD_SIZE 2"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK -1 is none"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(said, message):
    with pytest.raises(InputError, match=message):
        Place.found(said)


def test_a_process_alone_is_none_of_several():
    assert Place.found({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) is None
    assert Experiment.of(configure(CONFIG)).identity  # nobody is asked for others


COUNTED = """
import json, sys
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crews import crew_of
from neuroanp.training.distributed import follow, follows, leading
from dataclasses import replace
if follows():
    sys.exit(bool(follow()))
with leading():
    experiment = Experiment.of(configure(json.loads(sys.argv[1])))
    trainer = replace(build_trainer(experiment), crew=crew_of(experiment))
    trainer.step()
    group = trainer.crew.group
    before = group.told
    trainer.step()
    lab = trainer.lab()
    by_formula = trainer.learner.bytes_told(trainer.learned, lab.substrate.weights, [*lab.reads], lab.steps, lab.batch)
    print("bytes", group.told - before, by_formula)
"""


@pytest.mark.long
@pytest.mark.parametrize("reference", ["two", "silent"])
def test_what_goes_over_gloo_is_what_the_formula_says(tmp_path: Path, reference):
    """Sums as stated, a checksum of each process, and the loss of each of the six shards, 8 bytes each."""
    (tmp_path / "counted.py").write_text(COUNTED)
    config = {
        **CONFIG, "profile": "ideal", "rule": {**CONFIG["rule"], "reference": reference},
        "network": {"hidden": 6 if reference == "two" else 300}, "compute": {"shards": 6},
        "perturbation": {"name": "gaussian", "sigma": 0.01},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
         "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1", "counted.py", json.dumps(config)],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted, by_formula = map(int, done.stdout.split("bytes ", 1)[1].split())
    assert counted == by_formula + 8 * 2 + 8 * 6
