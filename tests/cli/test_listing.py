"""runs list and runs show: what they print, in which order, and how they refuse."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from neuroanp.cli.listing import COLUMNS
from neuroanp.records import RunDir
from tests.records.lives import RESULT


@pytest.fixture
def store(tmp_path):
    root = tmp_path / "runs"
    for seed in range(3):
        profile = {"name": "pcm", "text": "", "hash": "0"}
        fields = {"identity": f"{seed:016x}", "profile": profile, "seeds": {"seed": seed}, "argv": ["\x1b[31m"]}
        run = RunDir.create(root, f"copy-pcm-anp-s{seed}-{seed:016x}", "seed: 0\n", fields)
        run.write_result(
            {**RESULT, "profile": "pcm", "rule": "anp", "seed": seed, "test_loss": (seed - 1) ** 2 / 4 + 0.01}
        )
        run.end("finished", f"ended \u202e{seed}")
    return root


def test_the_table_has_a_line_for_each_run_that_is_chosen(invoke, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = invoke(
        "runs", "list", str(store), "--sort=-test_loss", "--where", "test_loss < 0.5", "--profile", "pcm,ideal"
    )
    assert done.exit_code == 0, done.output
    head, *lines, count = done.stdout.splitlines()
    assert [head.index(name) for name in COLUMNS] == sorted(head.index(name) for name in COLUMNS)
    assert [line.split()[-3] for line in lines] == ["0.26", "0.26", "0.01"]
    assert count == "3 runs"
    assert invoke("runs", "list", str(store), "--task", "xor").stdout == "no run\n"


@pytest.mark.parametrize("columns", [80, 100])
def test_lines_fit_the_terminal_and_what_is_left_out_is_named(invoke, store, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    head, *lines, count = invoke("runs", "list", str(store)).stdout.splitlines()
    assert max(map(len, (head, *lines))) <= columns
    assert "test loss" in head
    told = count.removeprefix("3 runs; on a wider terminal also ").split(", ")
    assert {*told} == {name for name in COLUMNS if name not in head}


def test_json_is_what_python_gets(invoke, store):
    import neuroanp as na

    done = invoke("runs", "list", str(store), "--seed", "1,2", "--status", "finished", "--json")
    rows = json.loads(done.stdout)["results"]
    assert rows == na.runs(store, seed=[1, 2], status="finished")
    assert [row["seed"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "test_los < 1"), "did you mean 'test_loss'"), (("--sort", "los"), "there is no 'los'"),
        (("--since", "soon"), "is no moment"), (("--seed", "x"), "no list of seeds"),
        (("--task", "a,,b"), "empty part"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told(invoke, store, words, said):
    done = invoke("runs", "list", str(store), *words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_what_is_no_run_is_told_beside_the_others(invoke, store):
    folder = store / "x\x1b[2J"
    shutil.copytree(next(path for path in store.iterdir() if path.is_dir()), folder)
    for path in (folder / "manifest.json", folder / "copies" / "manifest.json"):
        path.write_text("{")
    done = invoke("runs", "list", str(store))
    assert done.exit_code == 0
    assert "3 runs" in done.stdout
    assert r"warning: left out: " in done.stderr
    assert r"x\x1b[2J" in done.stderr
    assert "\x1b" not in done.output


def test_one_run_is_shown_without_hidden_characters(invoke, store):
    run = next(path for path in store.iterdir() if path.name.startswith("copy-pcm-anp-s1"))
    done = invoke("runs", "show", str(run))
    assert done.exit_code == 0
    assert "test_loss             0.01" in done.stdout
    assert r"\x1b[31m" in done.stdout
    assert r"ended \u202e1" in done.stdout
    assert "\x1b" not in done.stdout
    assert json.loads(invoke("runs", "show", str(run), "--json").stdout)["results"][0]["seed"] == 1


def test_a_listing_loads_nothing_heavy(store):
    """torch and matplotlib take seconds, and a listing is to take one or two."""
    import subprocess

    code = f"""
import sys, neuroanp as na
na.runs({str(store)!r})
print([name for name in ("torch", "matplotlib", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
