"""A signal at any moment ends the command with exit code 1 and one line."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuroanp.cli import signals
from neuroanp.training.stopping import StopRequested

ROOT = Path(__file__).parents[2]
SMALL = ["--task", "copy", "--set", "network.hidden=6", "--updates", "1000000", "--runs", "runs"]


SWALLOWS = """
import time
from __main__ import ready
try:
    ready()
    time.sleep(60)
except BaseException:
    print("swallowed")
"""


@pytest.fixture(autouse=True)
def no_signal_is_ignored():
    """Under nohup a hang-up is, by all that is started here too, as it should be."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in signals.SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def started(folder: Path, *words: str, code: str | None = None) -> subprocess.Popen[str]:
    command = ["-c", code] if code else ["-m", "neuroanp", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", signals.SIGNALS)
@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("import", "__import__('slow')"),
        ("import in order", "with signals.in_order():\n    __import__('slow')"),
        ("elsewhere", "ready(); time.sleep(60)"),
        ("in order", "with signals.in_order():\n    ready(); time.sleep(60)"),
        (
            "finaliser",
            "class End:\n    def __del__(self):\n        signals._in_order = True; ready(); time.sleep(60)\nEnd()",
        ),
    ],
)
def test_wherever_a_signal_comes_there_is_one_line_and_the_code_1(tmp_path, where, body, number):
    (tmp_path / "slow.py").write_text(SWALLOWS)
    code = (
        "import sys, time; sys.path.insert(0, '.')\nfrom neuroanp.cli import main, signals\n"
        "def ready(): print('ready', flush=True)\n"
        f"def app():\n    {body.replace(chr(10), chr(10) + '    ')}\n"
        "sys.modules['neuroanp.cli.commands'] = type(sys)('commands')\n"
        "sys.modules['neuroanp.cli.commands'].app = app\nmain.run()\n"
    )
    process = started(tmp_path, code=code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (1, "", "error: interrupted\n")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    code = (
        "import os, signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom neuroanp.cli import signals\n"
        "from neuroanp.training.stopping import StopRequested\nsignals.listen()\nos.kill(os.getpid(), signal.SIGHUP)\n"
        "with StopRequested() as stop:\n    os.kill(os.getpid(), signal.SIGHUP)\nprint(stop.requested)\n"
    )
    stdout, stderr = started(tmp_path, code=code).communicate(timeout=60)
    assert (stdout, stderr) == ("False\n", "")


def test_a_hang_up_asks_a_run_to_stop():
    with StopRequested() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.requested
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_what_ends_by_itself_hears_no_signal(tmp_path):
    """Its result is shown, and its code is the command's own."""
    code = (
        "import atexit, os, signal, sys\nfrom neuroanp.cli import main\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "sys.argv = ['neuroanp', '--version']\nmain.run()\n"
    )
    process = started(tmp_path, code=code)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.strip()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_at_any_moment(tmp_path, seed):
    draw = random.Random(seed)
    words = ["compare", *SMALL, "--seeds", "2", "--workers", "1"] if seed % 2 else ["train", *SMALL]
    process = started(tmp_path, *words)
    time.sleep(draw.uniform(0.3, 4.0))  # before that Python itself starts
    os.killpg(process.pid, draw.choice(signals.SIGNALS))
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, ""), stderr
    assert [line.startswith("error: interrupted") for line in stderr.splitlines()].count(True) == 1
    assert "Traceback" not in stderr
