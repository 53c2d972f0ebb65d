"""Kills and full disks at every system call of a run's life: nothing is forged, nothing lost."""

import errno
import os
import shutil
import traceback
from pathlib import Path

import pytest

from neuroanp.errors import RunError
from neuroanp.records import RunDir
from neuroanp.records.seal import Seal, of_fields
from tests.records.lives import content, life


@pytest.fixture
def run(tmp_path):
    return life(tmp_path / "runs", [])


# ---- kills and full disks at every system call ----

CALLS = ("open", "write", "fsync", "replace", "rename", "ftruncate", "truncate", "unlink", "mkdir", "close")


def counted(monkeypatch, at: int, strike) -> list[int]:
    """Let `strike` happen at the `at`-th system call from now on; return how many there were."""
    done = [0]

    def wrap(call):
        def wrapped(*args, **kwargs):
            done[0] += 1
            if done[0] >= at:
                strike(done[0], call)
            return call(*args, **kwargs)

        return wrapped

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))
    return done


def killed_at(root: Path, at: int) -> bool:
    """Live in a child that dies by SIGKILL at its `at`-th system call; True if it got that far."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status == 0 or os.WIFSIGNALED(status), "it failed by itself: its traceback is on stderr"
        return os.WIFSIGNALED(status)
    code = 1
    try:
        with pytest.MonkeyPatch.context() as patch:
            counted(patch, at, lambda number, call: os.kill(os.getpid(), 9))
            life(root, [])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def untouched(root: Path) -> None:
    """Whoever looks at what was left sees no damage."""
    if (root / "one").exists():
        run = RunDir.open(root / "one")
        run.metrics()
        assert run.damage() == []


@pytest.mark.long
@pytest.mark.parametrize("twice", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_kill_at_any_system_call_forges_nothing_and_loses_nothing(tmp_path, twice, caplog):
    whole, at, struck = content(life(tmp_path / "whole", [])), 0, 0
    while True:
        at += 1 if twice else 5
        root = tmp_path / str(at)
        if not killed_at(root, at):
            break
        struck += 1
        untouched(root)
        if twice:  # and again, in the run that takes it up
            killed_at(root, 1 + at * 7 % 60)
            untouched(root)
        told: list[str] = []
        assert content(life(root, told)) == whole
        assert told == []
        assert RunDir.open(root / "one").sealed is True
        assert not list((root / "one").rglob("*.tmp"))
        assert not (root / "one" / "damaged").exists()
        shutil.rmtree(root)
    assert struck > (100 if twice else 20)
    assert caplog.records == []


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_from_any_call_on_heals(tmp_path, step, caplog):
    whole, at, struck = content(life(tmp_path / "whole", [])), 0, 0

    def full(number, call):
        if call.__name__ in ("write", "mkdir") or (call.__name__ == "fsync" and number % 2):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    while True:
        at += step
        root = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            counted(patch, at, full)
            try:
                life(root, [])
                break
            except RunError as error:
                said = str(error)
        assert "disk is full" in said
        struck += 1
        untouched(root)
        told: list[str] = []
        assert content(life(root, told)) == whole
        assert told == []
        shutil.rmtree(root)
    assert struck > 100 // step
    assert caplog.records == []


def test_seals_hold_no_more_and_no_less():
    data = b"update\n1\n"
    seal = Seal.of(data)
    assert Seal.read(seal.plain()) == seal
    assert not seal.holds(data[:-1])
    assert not seal.begins(data[:-1])
    assert not seal.begins(b"x" + data)
    for wrong in (None, [], {}, {"size": True, "sha256": "0"}, {"size": -1, "sha256": "0"}, {"size": 1, "sha256": 0}):
        assert Seal.read(wrong) is None
    assert of_fields({"a": 1}) != of_fields({"a": 2})


def test_a_sealed_run_that_goes_back_to_an_older_checkpoint_looks_whole_at_any_kill(run, tmp_path):
    """Its rows are cut and written again: the seals of its last end are dropped before."""
    run.end("interrupted")
    run.checkpoints()[-1].write_bytes(b"damaged")
    for at in range(1, 200, 4):
        root = Path(shutil.copytree(run.path.parent, tmp_path / f"again-{at}"))
        struck = killed_at(root, at)
        untouched(root)
        shutil.rmtree(root)
        if not struck:
            assert at > 20
            return
    raise AssertionError("it made more than 200 calls")
