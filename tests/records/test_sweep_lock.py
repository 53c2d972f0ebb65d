"""A store is held by one sweep at a time, by whoever lives."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from neuroanp.errors import InputError, NeuroanpError, RunError
from neuroanp.records.sweep_lock import NAME, held_for_sweep

HOLDS = """
import sys, time
from pathlib import Path
from neuroanp.records.sweep_lock import held_for_sweep
with held_for_sweep(Path(sys.argv[1]), ["neuroanp", "compare", "a b.yaml"]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_told_who_where_since_when_and_by_which_command(tmp_path):
    root = tmp_path / "runs"
    with held_for_sweep(root, ["neuroanp", "compare", "my file.yaml"]):
        with pytest.raises(InputError) as error, held_for_sweep(root, []):
            pass
        whole = (
            rf"in use by process {os.getpid()} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d "
            r"\d\d:\d\d:\d\d UTC: neuroanp compare 'my file\.yaml'; wait for it \(--wait\), take another --runs DIR"
        )
        assert re.search(whole, str(error.value))
        assert error.value.exit_code == 2
        with held_for_sweep(root, [], "share"):
            pass
    assert not root.exists()  # it held nothing, and was made for the lock


def test_a_store_with_runs_stays_and_its_lock_goes(tmp_path):
    (tmp_path / "run").mkdir()
    with held_for_sweep(tmp_path, ["x"]):
        assert (tmp_path / NAME).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_one_that_waits_goes_on_when_the_other_ends_and_is_then_alone(tmp_path, monkeypatch):
    """Between the end of the first and its own turn the file of the lock was removed: it holds the new one."""
    monkeypatch.setattr("neuroanp.records.sweep_lock.POLL_S", 0.01)
    order, inside = [], threading.Event()

    def second() -> None:
        with held_for_sweep(tmp_path, ["second"], "wait"):
            order.append("second")
            inside.wait(10)

    with held_for_sweep(tmp_path, ["first"]):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    deadline = time.monotonic() + 10
    while len(order) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(InputError, match=": second; wait"), held_for_sweep(tmp_path, ["third"]):
        pass
    inside.set()
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_on_a_file_that_its_holder_just_removed_is_no_lock(tmp_path, monkeypatch):
    """Between the second's opening of the file and its lock the first ends, and a third begins."""
    flock, third = fcntl.flock, []

    def late(handle, how):
        if not third:
            os.unlink(tmp_path / NAME)
            third.append(os.open(tmp_path / NAME, os.O_RDWR | os.O_CREAT))
            flock(third[0], fcntl.LOCK_EX)
        flock(handle, how)

    monkeypatch.setattr("neuroanp.records.sweep_lock.fcntl.flock", late)
    with pytest.raises(InputError, match="in use by another command"), held_for_sweep(tmp_path, ["x"]):
        pass
    os.close(third[0])


def test_one_that_was_killed_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with (
        pytest.raises(InputError, match=f"process {process.pid} on .*compare 'a b.yaml'"),
        held_for_sweep(tmp_path, []),
    ):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held_for_sweep(tmp_path, ["x"]):
        assert f"process {os.getpid()} " in (tmp_path / NAME).read_text()


def test_a_place_that_takes_no_store_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no directory"), held_for_sweep(tmp_path / "file" / "runs", []):
        pass


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_in_the_place_of_the_lock_is_named(tmp_path, make):
    make(tmp_path / NAME)
    with pytest.raises(NeuroanpError, match=re.escape(f"{tmp_path / NAME}: ")), held_for_sweep(tmp_path, ["x"]):
        raise AssertionError("it was held")
    assert (tmp_path / NAME).is_symlink() or (tmp_path / NAME).exists()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, number):
    def flock(handle, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    root, before = tmp_path / "runs", len(os.listdir("/proc/self/fd"))
    with pytest.raises(InputError, match=r"gives no locks .*-o flock"), held_for_sweep(root, ["x"]):
        raise AssertionError("it was held")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_is_told_with_the_place(tmp_path, monkeypatch):
    def pwrite(handle, data, at):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(RunError, match=f"{NAME}: not written, .*repeat the command"), held_for_sweep(tmp_path, ["x"]):
        raise AssertionError("it was held")
    monkeypatch.undo()
    with held_for_sweep(tmp_path, ["x"]):
        pass
