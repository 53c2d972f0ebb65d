"""Writes leave the old content or the new, on a full disk as on a refused one."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from neuroanp.errors import InputError, RunError
from neuroanp.records import atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_replaces_the_content_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")
    atomic.write_text(path, "neu: µ")
    assert path.read_text(encoding="utf-8") == "neu: µ"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_failing_disk_keeps_the_old_file(tmp_path, monkeypatch, call, number):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")

    def refuse(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(RunError, match=r"a\.json") as caught:
        atomic.write_text(path, "new")
    assert os.strerror(number) in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_the_first_half_of_a_write_is_not_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")
    write = os.write
    left = [3]

    def short(handle, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(handle, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(RunError, match="full"):
        atomic.write_text(path, "new content")
    assert path.read_text() == "old"


def test_a_real_limit_of_the_system_is_a_run_error(tmp_path):
    path = tmp_path / "a.bin"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    atomic.write_bytes(path, b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(RunError, match="size limit"):
            atomic.write_bytes(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_missing_directory_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not accessible") as caught:
        atomic.write_text(tmp_path / "none" / "a.json", "new")
    assert str(tmp_path / "none") in str(caught.value)


def test_a_refused_place_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        atomic.write_text(tmp_path / "a.json", "new")


def test_sweep_removes_what_a_killed_writer_left(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from neuroanp.records import atomic\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "atomic.write_text(pathlib.Path(sys.argv[1]) / 'a.json', 'new')\n"
    )
    (tmp_path / "a.json").write_text("old")
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert len(names(tmp_path)) == 2
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"
