"""Real runs, tiny: a sweep from end to end, gone on with after it was cut off, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import neuroanp as na
from neuroanp.comparing.worker import Job, Outcome, work
from neuroanp.errors import InputError
from neuroanp.requiring.report import to_dict
from neuroanp.requiring.sweep import FOLDER, Asked, Found, Plan, expected, plan, sweep
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from tests.close import close

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "network": {"hidden": 4},
    "profile": "rram_hfo2",
    "rule": "anp",
    "hardware": {"write": "pulse", "only": ["c2c"]},
    "training": {"updates": 2, "batch": 2},
}
SEEDS = (0, 1)


class Counted:
    """Does runs in this process, and stops as Ctrl-C does before run number `most`."""

    def __init__(self, root: Path, most: int | None = None) -> None:
        self.root, self.most, self.done = root / FOLDER, most, 0

    def __call__(self, configs: Sequence[RunConfig]) -> list[Outcome]:
        outcomes = []
        for config in configs:
            if self.done == self.most:
                raise KeyboardInterrupt
            outcomes.append(work(Job(config, self.root, False, ("tests",)), lambda kind, content: None))
            self.done += 1
        return outcomes


def asked(target: str = "test_loss < 1e-9") -> Asked:
    return Asked.of(target, SEEDS, 0.5, 1, 1)


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(configure(TINY), asked())


@pytest.fixture(scope="module")
def cut(planned: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, int], int]:
    """Return the store of a sweep cut off after 7 runs, when each result was written, and how many it tells of."""
    root = tmp_path_factory.mktemp("store")
    with pytest.raises(KeyboardInterrupt):
        sweep(planned, root, Counted(root, 7))
    written = {path: path.stat().st_mtime_ns for path in (root / FOLDER).glob("*/result.json")}
    return root, written, expected(planned, root, 1)["there"]


@pytest.fixture(scope="module")
def swept(planned: Plan, cut: tuple[Path, dict[Path, int], int]) -> tuple[Found, Path]:
    root, *_ = cut
    return sweep(planned, root, Counted(root)), root


def test_a_sweep_has_what_was_laid_out(swept: tuple[Found, Path]) -> None:
    found, root = swept
    keys = [one.parameter.key for one in found.findings]
    assert keys == ["update.dw", "update.c2c", "update.up_down"]
    assert not found.met
    assert all(not any(one.met) for one in found.findings)
    runs = list((root / FOLDER).glob("*/result.json"))
    assert len(runs) == found.plan.runs + len(found.pairs) * len(SEEDS)
    assert len(found.pairs) == 1
    for run in found.stated.runs:
        assert json.loads((root / run / "result.json").read_text())["profile"] == "rram_hfo2"


def test_what_is_said_is_what_the_results_say(swept: tuple[Found, Path]) -> None:
    found, root = swept
    for one in to_dict(found)["parameters"]:
        for point in one["points"]:
            said = [json.loads((root / run / "result.json").read_text())["test_loss"] for run in point["runs"]]
            assert point["metric"] == close(said)
    (pair,) = to_dict(found)["pairs"]
    assert pair["metric"] == close(
        [json.loads((root / run / "result.json").read_text())["test_loss"] for run in pair["runs"]]
    )


def test_seeds_of_all_settings_are_the_same_ones(swept: tuple[Found, Path]) -> None:
    found, root = swept
    for one in found.findings:
        for point in one.points:
            assert [json.loads((root / run / "result.json").read_text())["seed"] for run in point.runs] == [*SEEDS]


def test_a_sweep_that_was_cut_off_goes_on_and_repeats_no_run(
    swept: tuple[Found, Path], cut: tuple[Path, dict[Path, int], int]
) -> None:
    _, written, told = cut
    assert len(written) == told == 7
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_what_it_takes_is_told_and_nothing_is_written(planned: Plan, tmp_path: Path) -> None:
    told = expected(planned, tmp_path, 2)
    assert (told["parameters"], told["runs"], told["there"], told["runs_of_pairs"]) == (3, planned.runs, 0, 2)
    assert planned.runs == 2 * (1 + 2 + 3 + 2)  # as stated; two steps; ideal and two; two of what is stated as 0
    assert told["seconds"] == close(told["seconds_a_run"] * (planned.runs + 2) / 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "target", "said"),
    [
        ({"profile": "ideal", "hardware": {}}, "test_loss < 1", "profile ideal: states nothing to sweep for test_loss"),
        ({"profile": "ideal"}, "test_loss < 1", "hardware.write: 'pulse' has no law in profile 'ideal'"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_line(changes: dict, target: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(configure({**TINY, **changes}), asked(target))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_with_the_arguments_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        na.requirements(
            {**TINY, "training": {"batch": 0}}, target="loss < 1", seeds=1, decades=0, points=1, profile="pmc",
            runs=tmp_path / "r",
        )  # fmt: skip
    lines = str(caught.value)
    for said in ("a result has no 'loss'", "1 seed: no ranking", "--decades: 0", "training.batch", "profile 'pmc'"):
        assert said in lines
    assert not (tmp_path / "r").exists()


def test_a_metric_that_results_lack_is_told_after_the_first_runs(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "meta: {name: mine, summary: s, source: s, status: measured}\n"
        "conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}\n"
        "programming: {law: gaussian, sigma_absolute: 1 uS, sigma_relative: 0}\n"
        "array: {weight_range: 4, write: serial}\n"
    )
    run = Counted(tmp_path)
    config = configure({**TINY, "profile": str(profile), "hardware": {}})
    with pytest.raises(InputError, match="wear: results on profile mine have none"):
        sweep(plan(config, asked("wear < 1")), tmp_path, run)
    assert run.done == len(SEEDS)


@pytest.mark.long
def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps({**TINY, "hardware": {"write": "pulse", "only": ["adc"]}}))
    words = [sys.executable, "-m", "neuroanp", "requirements", "c.yaml", "--target", "test_loss < 1e-9", "--seeds", "2",
             "--points", "1", "--pairs", "0", "--workers", "1", "--json"]  # fmt: skip
    own = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store, until = tmp_path / "runs" / FOLDER, time.monotonic() + 300
    while len(list(store.glob("*/result.json"))) < 4 and time.monotonic() < until and own.poll() is None:
        time.sleep(0.02)
    os.kill(own.pid, signal.SIGKILL)
    own.wait()
    there = {path: path.stat().st_mtime_ns for path in store.glob("*/result.json")}
    assert len(there) >= 4
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in there} == there
    (found,) = json.loads(done.stdout)["results"]
    assert [one["parameter"] for one in found["parameters"]] == ["update.dw", "update.up_down", "periphery.adc.bits"]
    assert Path(tmp_path, found["report"]).is_file()
