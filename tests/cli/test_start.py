"""What `--help` costs, and that every command explains itself."""

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch", "numpy", "scipy", "matplotlib", "pint", "yaml", "safetensors", "jinja2", "pandas", "rich.progress",
    "brian2", "Cython",
)  # fmt: skip
FOR_OPTIONS = ("pydantic", "importlib.metadata", "neuroanp.records")
"""What the list of commands has no use for either; typer itself takes the first two to read options of a command."""

COMMANDS = [
    ["demo"], ["train"], ["resume"], ["compare"], ["report"], ["doctor"],
    ["profiles", "list"], ["profiles", "show"], ["profiles", "validate"], ["profiles", "diff"],
    ["tasks", "list"], ["rules", "list"], ["backends", "list"], ["neurons", "list"], ["encoders", "list"],
    ["losses", "list"], ["runs", "list"], ["runs", "rm"], ["runs", "label"], ["runs", "export"], ["watch"],
    ["examples"], ["new", "device"], ["new", "task"], ["new", "rule"], ["new", "cell"], ["new", "config"], ["cite"],
]  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["profiles", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from neuroanp.cli.main import run\n"
        f"sys.argv = ['neuroanp', *{words!r}]\n"
        "try:\n    run()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = {(*HEAVY, *(FOR_OPTIONS if words[0] == '--help' else ()))!r}\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_an_example_and_the_common_options(invoke, words: list[str]) -> None:
    shown = invoke(*words, "--help")
    assert shown.exit_code == 0
    assert "Example" in shown.stdout
    assert "neuroanp " + " ".join(words) in shown.stdout
    assert "--debug" in shown.stdout
    assert "--json" in shown.stdout


@pytest.mark.parametrize("words", [["demo"], ["train"], ["resume"], ["compare"]], ids=" ".join)
def test_long_commands_can_be_quiet(invoke, words: list[str]) -> None:
    assert "--no-progress" in invoke(*words, "--help").stdout


def test_a_bare_call_shows_the_help(invoke) -> None:
    assert "compare" in invoke().output


@pytest.mark.parametrize(
    "words",
    [["trian"], ["train", "--sed", "1"], ["train", "--seed", "one"], ["train", "--updates", "0"], ["resume"],
     ["compare", "--workers", "0"], ["report"]],
    ids=" ".join,
)  # fmt: skip
def test_bad_usage_ends_with_2(invoke, words: list[str]) -> None:
    ended = invoke(*words)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_python_dash_m_is_the_same_command() -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "neuroanp", "--help"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0
    assert "neuroanp" in done.stdout
    assert "__main__" not in done.stdout


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("train --backend s", ["spiking"]),
        ("compare --backend rate,s", ["rate,spiking"]),
        ("compare --backend rate,r", []),
        ("compare --profiles ideal,smtj_k", ["ideal,smtj_koenders"]),
        ("train --rule bptt", ["bptt", "bptt1"]),
        ("train --task mackey", ["mackey_glass"]),
    ],
)
def test_the_shell_completes_names(typed: str, found: list[str]) -> None:
    words = f"neuroanp {typed}"
    asked = {"_NEUROANP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "from neuroanp.cli.main import run; import sys; sys.argv = ['neuroanp']; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **asked}
    )
    assert done.stdout.split() == found, done.stderr
