"""What is mistyped on the command line is refused before anything is made."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from neuroanp.cli import boundary, main, reserve, signals
from neuroanp.cli.boundary import explain


def test_a_seed_taken_for_a_number_of_seeds_is_told_how_to_say_it(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = invoke("compare", "--task", "copy", "--seeds", "20261126")
    assert ended.exit_code == 2
    assert "a single seed goes by --set seed=N" in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["train", "--task", "copy", "--runs"], ["compare", "--task", "copy", "--runs"], ["report"], ["resume"],
              ["report", "runs", "-o"], ["evaluate"], ["predict"], ["predict", "r", "-i"], ["predict", "r", "-o"],
              ["diagnose"], ["diagnose", "c.yaml", "-o"], ["export"], ["import"], ["characterize", "pcm", "-o"],
              ["profiles", "fit"], ["profiles", "fit", "a.csv", "-o"], ["profiles", "fit", "a.csv", "--figure"]],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_name_of_a_file_or_folder_is_refused(invoke, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    ended = invoke(*words, "")
    assert ended.exit_code == 2
    assert "the name is empty" in " ".join(ended.stderr.split())
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, sys
resource.setrlimit(resource.{limit}, ({value}, {value}))
sys.argv = ["neuroanp", *{words!r}]
from neuroanp.cli.main import run
run()
"""
TRAIN = ["train", "--task", "copy", "--updates", "1", "--json"]
COMPARE = ["compare", "--task", "copy", "--updates", "1", "--set", "network.hidden=4", "--workers", "1", "--json"]


def limited(folder: Path, limit: str, value: int, words: list[str]) -> str:
    """Run a command under a limit of the system; return the one line that it ends with."""
    code = LIMITED.format(limit=limit, value=value, words=words)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("limit", "value", "words", "said"),
    [
        ("RLIMIT_AS", 30 << 20, TRAIN, "error: out of memory"),
        ("RLIMIT_AS", 100_000 << 10, TRAIN, "error: out of memory: this process may take 0.102 GB (ulimit -v)"),
        ("RLIMIT_AS", 300 << 20, TRAIN, "and the libraries alone take more than 1.1 GB; raise the limit"),
        ("RLIMIT_AS", 880_000_000, TRAIN, "and the libraries alone take more than 1.1 GB; raise the limit"),
        ("RLIMIT_AS", 640_000_000, TRAIN, "and the libraries alone take more than 1.1 GB; raise the limit"),
        ("RLIMIT_NOFILE", 6, COMPARE, "too many open files: a process may have 6 at a time (ulimit -n); raise"),
    ],
    ids=["start", "endless", "early", "hang", "crash", "files"],
)
def test_what_a_full_machine_refuses_is_one_line(tmp_path, limit, value, words, said):
    assert said in limited(tmp_path, limit, value, words)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["train", "--help"]], ids=" ".join)
def test_help_and_version_take_little_memory(tmp_path, words):
    code = LIMITED.format(limit="RLIMIT_AS", value=300 << 20, words=words)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", [["train"], ["compare", "--workers", "1"]], ids=" ".join)
def test_a_network_that_does_not_fit_is_one_line(tmp_path, command):
    words = [*command, "--task", "copy", "--updates", "1", "--set", "network.hidden=20000", "--json"]
    said = limited(tmp_path, "RLIMIT_AS", 2500 << 20, words)
    assert "out of memory (" in said
    assert "(ulimit -v); lower network.hidden or training.batch" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("can't start new thread"), "no further process or thread could be started"),
        (RuntimeError("libgomp: Thread creation failed: Resource temporarily unavailable"), "no further process or"),
        (OSError(errno.ENFILE, "Too many open files in system"), "too many open files"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (ImportError("libx.so: cannot allocate memory in static TLS block"), "out of memory while a library"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory (CUDA out of memory."),
        (RuntimeError("std::bad_alloc"), "out of memory"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_refusal_has_a_cause_and_a_remedy(error, said):
    """Also where a library wraps it."""
    wrapped = ImportError("numpy cannot be imported\nIMPORTANT: ...")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        message, code = explain(one)
        assert code == 1
        assert said in message
        assert "\n" not in message
        assert "bug" not in message


def test_c_code_that_fails_without_a_word_had_no_memory_where_that_is_limited(monkeypatch):
    unsaid = SystemError("error return without exception set")
    assert "bug" in explain(unsaid)[0]
    monkeypatch.setattr("neuroanp.errors._limit", lambda name: 1_000_000_000 if name == "RLIMIT_AS" else None)
    assert explain(unsaid)[0].startswith(
        "out of memory (error return without exception set); this process may take 1 GB"
    )
    assert "bug" in explain(SystemError("bad argument to internal function"))[0]


def test_memory_is_kept_back_and_given_back_once():
    reserve.keep()
    reserve.keep()
    assert [len(each) for each in reserve._kept] == [reserve.BYTES]
    reserve.release()
    reserve.release()
    assert reserve._kept == []


def test_it_is_given_back_before_a_command_says_why_it_ends(monkeypatch):
    seen = []
    monkeypatch.setattr(
        boundary, "complain", lambda message: seen.append((message.partition(" (")[0], [*reserve._kept]))
    )

    def command() -> None:
        raise MemoryError("as asked")

    reserve.keep()
    with pytest.raises(typer.Exit):
        boundary.guarded(command)()
    assert seen == [("out of memory", [])]


def test_it_is_kept_before_commands_are_loaded_and_given_back_where_that_fails(monkeypatch, capsys):
    """A class stands for the module of commands: what is asked of it is what is loaded."""
    seen = []

    class Commands:
        def __getattr__(self, name: str):
            if name.startswith("__"):
                raise AttributeError(name)
            seen.append(len(reserve._kept))
            raise MemoryError(f"for {name}")

    def say(error: BaseException) -> str:
        seen.append(len(reserve._kept))
        return str(error)

    monkeypatch.setattr(sys, "argv", ["neuroanp", "--version"])
    monkeypatch.setitem(sys.modules, "neuroanp.cli.commands", Commands())
    monkeypatch.setattr(main, "_not_loaded", say)
    monkeypatch.setattr(signals, "listen", lambda: None)
    monkeypatch.setattr(signals, "ignore", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 1
    assert seen[0] == 1
    assert seen[-1] == 0
    assert capsys.readouterr().err == "error: for app\n"


def test_a_start_that_fails_otherwise_says_what_to_do(tmp_path):
    (tmp_path / "typer.py").write_text("raise ImportError('no such thing\\nas this')\n")
    done = subprocess.run(
        [sys.executable, "-m", "neuroanp"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: neuroanp cannot be loaded: ImportError: no such thing; install it again (pip install neuroanp)\n"
    )
