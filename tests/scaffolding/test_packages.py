"""Packages and configs that `neuroanp new` writes; that they install, train and test themselves is in test_wheel.py."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.scaffolding import KINDS, new_config, new_package
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS
from neuroanp.yaml_io import parse

WORLDS = {"acrobot", "cartpole", "gym"}
DATA = {"mnist"}
"""Tasks that need a file, or a package, before their config is one."""
NEEDS = {"sampled": {"network.bias": "true"}}
"""Rules that need more than their name."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_whole_and_its_source_python(kind: str, tmp_path: Path) -> None:
    made = new_package(kind, "my_own2", tmp_path / "lab")
    assert made.path == tmp_path / "lab" / "my_own2"
    there = {path for path in made.path.rglob("*") if path.is_file()}
    assert there == set(made.files)
    assert [path.name for path in made.path.parent.iterdir()] == ["my_own2"]  # nothing is left of its making
    for path in there:
        text = path.read_text()
        assert not re.search(r"@[A-Za-z]+@", text), path
        if path.suffix == ".py":
            ast.parse(text)
    said = tomllib.loads((made.path / "pyproject.toml").read_text())["project"]
    ((group, names),) = said["entry-points"].items()
    module, _, name = names["my_own2"].partition(":")
    assert group == f"neuroanp.{KINDS[kind].groups[0]}"
    source = made.path / Path(*module.split(".")).with_suffix(".py")
    assert name in {node.name for node in ast.parse(source.read_text()).body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [("rule", "anp", "is there already"), ("rule", "bptt", "is there already"), ("rule", "echo", "is there already"),
     ("cell", "lif", "is there already"), ("task", "copy", "is there already"), ("device", "pcm", "is there already"),
     ("task", "a-b", "can be no name"), ("task", "../x", "can be no name"), ("task", "class", "can be no name"),
     ("task", "", "can be no name"), ("task", "É", "can be no name"), ("task", "a" * 41, "can be no name")],
)  # fmt: skip
def test_names_that_cannot_be_are_refused(kind: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        new_package(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(tmp_path / "nowhere")
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    with pytest.raises(InputError, match="exists already"):
        new_package("task", "mine", tmp_path)
    with pytest.raises(InputError, match="exists already"):
        new_config("mine", tmp_path)
    assert (tmp_path / "mine.yaml").read_text() == "seed: 1\n"


@pytest.mark.slow
@pytest.mark.parametrize("task", [name for name in TASKS.names() if name not in WORLDS | DATA])
def test_a_config_means_what_it_was_made_from(task: str, tmp_path: Path) -> None:
    made = new_config("mine", tmp_path, task=task, profile="pcm")
    assert configure(made.path) == configure(task=task, profile="pcm")


@pytest.mark.long
@pytest.mark.parametrize("rule", METHODS.names())
def test_a_config_has_every_option_of_its_rule(rule: str, tmp_path: Path) -> None:
    task = "reaching" if rule in ("nrl", "reinforce", "rmhl") else "copy"
    if rule in NEEDS:
        with pytest.raises(InputError, match=next(iter(NEEDS[rule]))):
            new_config("mine", tmp_path, task=task, rule=rule)
    made = new_config("mine", tmp_path, task=task, rule=rule, overrides=NEEDS.get(rule))
    wanted = configure(None, NEEDS.get(rule), task=task, rule=rule)
    assert configure(made.path) == wanted
    text = made.path.read_text()
    section = text[text.index("\nrule:") :]
    for option in type(wanted.rule).model_fields:
        assert re.search(rf"^  (# )?{option}: ", section, re.MULTILINE), option


def test_what_is_set_stands_open_and_what_has_no_place_is_refused(invoke, tmp_path: Path) -> None:
    said = {"training.batch": "4", "dt": "2 us", "rule.decorrelation.lr": "1e-2", "task.length": "5", "seed": "3"}
    sets = [word for key, value in said.items() for word in ("--set", f"{key}={value}")]
    done = invoke("new", "config", "mine", "--into", str(tmp_path), "--rule", "np", *sets)
    assert done.exit_code == 0, done.stderr
    assert configure(tmp_path / "mine.yaml") == configure(None, said, task="copy", profile="ideal", rule="np")
    open_lines = [line.split("#")[0].strip() for line in (tmp_path / "mine.yaml").read_text().splitlines()]
    for line in ("dt: 2 us", "length: 5", 'decorrelation: {"lr": 0.01, "trailing": null}'):
        assert line in open_lines
    with pytest.raises(InputError, match=r"--set compute.threads: a new config has no place"):
        new_config("other", tmp_path, overrides={"compute.threads": "2"})
    assert not (tmp_path / "other.yaml").exists()


def test_options_taken_in_are_read_as_they_stand(tmp_path: Path) -> None:
    """All lines taken out of their comments make the same run: what they show is the default."""
    text = new_config("mine", tmp_path).path.read_text()
    opened = []
    for line in text.splitlines():
        found = re.match(r"(  # |# ?(?= {0,2}[a-zA-Z_0-9]+:))(.*)", line)
        opened.append(("  " if line.startswith("  # ") else "") + found[2] if found else line)
    said = {**parse("\n".join(opened[5:]), "open.yaml").data}
    assert {"name", "lr"} <= set(said["optimizer"])
    said["network"] = {key: value for key, value in said["network"].items() if key != "layers"}  # or hidden
    assert configure(said) == configure(task="copy")


def test_the_command_writes_them_and_says_what_comes_next(invoke, tmp_path: Path) -> None:
    done = invoke("new", "cell", "tired", "--into", str(tmp_path), "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert row["path"] == str(tmp_path / "tired")
    assert (tmp_path / "tired/pyproject.toml").exists()
    again = invoke("new", "cell", "tired", "--into", str(tmp_path))
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    unknown = invoke("new", "config", "x", "--into", str(tmp_path), "--task", "coppy")
    assert unknown.exit_code == 2
    assert "did you mean 'copy'?" in unknown.stderr
