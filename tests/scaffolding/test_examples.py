"""Examples are found, shown and copied; that the wheel has them is in test_wheel.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.profiles import load
from neuroanp.scaffolding import examples
from neuroanp.training.configure import configure

ROOT = Path(__file__).resolve().parents[2]


def test_a_copy_is_what_the_repository_has(tmp_path: Path) -> None:
    copied = examples.copy(tmp_path / "examples")
    wanted = {p.relative_to(ROOT) for p in (ROOT / "examples").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {path.relative_to(tmp_path) for path in copied} == wanted
    assert all((tmp_path / path).read_bytes() == (ROOT / path).read_bytes() for path in wanted)


def test_one_example_brings_the_data_that_it_names_and_runs_from_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    copied = examples.copy(Path("examples"), "bench")
    assert Path("examples/data/noisy_ecram.yaml") in copied
    assert len(copied) < 5
    assert load(configure("examples/bench.yaml").profile).meta.name


def test_copying_again_changes_nothing_and_never_what_was_changed(tmp_path: Path) -> None:
    first = examples.copy(tmp_path, "copy3")
    assert examples.copy(tmp_path, "copy3") == first
    (tmp_path / "copy3.yaml").write_text("mine: 1\n")
    (tmp_path / "copy5.yaml").unlink(missing_ok=True)
    with pytest.raises(InputError, match="other content"):
        examples.copy(tmp_path)
    assert (tmp_path / "copy3.yaml").read_text() == "mine: 1\n"
    assert not (tmp_path / "copy5.yaml").exists()


def test_an_example_that_is_missing_is_answered_with_how_to_get_it(invoke, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ("train", "examples/copy3.yaml"), ("compare", "examples/copy3.yaml"),
        ("profiles", "validate", "examples/data/rram_lines.yaml"),
        ("profiles", "fit", "examples/data/pulse.csv", "--kind", "pulse", "--name", "x"),
    ):  # fmt: skip
        done = invoke(*words)
        assert done.exit_code == 2, words
        assert "neuroanp examples --copy examples" in done.stderr, (words, done.stderr)
    done = invoke("train", "examples/none.yaml")
    assert (done.exit_code, "--copy" in done.stderr) == (2, False)
    assert invoke("examples", "--copy", "examples").exit_code == 0
    assert configure("examples/copy3.yaml").task.length == 3


def test_the_command_lists_and_shows(invoke) -> None:
    rows = json.loads(invoke("examples", "--json").stdout)["results"]
    assert {path.stem for path in (ROOT / "examples").glob("*.yaml")} == {row["name"] for row in rows}
    assert all(row["summary"] and Path(row["path"]).is_file() for row in rows)
    assert invoke("examples", "copy3").stdout == (ROOT / "examples/copy3.yaml").read_text()
    done = invoke("examples", "copi3")
    assert done.exit_code == 2
    assert "did you mean 'copy3'?" in done.stderr
