"""The schema takes every file that neuroanp takes, and refuses nothing else than neuroanp does; editors rely on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from neuroanp.errors import InputError
from neuroanp.profiles import loads
from neuroanp.scaffolding import new_config
from neuroanp.scaffolding.schema import schema
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.configure import configure
from neuroanp.units import Dimension
from neuroanp.yaml_io import dump, read

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "examples").glob("*.yaml"))
PROFILES = sorted([*(ROOT / "hardware_profiles").glob("*.yaml"), *(ROOT / "examples/data").rglob("*.yaml")])
WRONG: list[Any] = ["nothing such", -7.5, True, None, {"colour": 1}, ["x"]]


@cache
def validator(kind: str) -> Draft202012Validator:
    whole = schema(kind)
    Draft202012Validator.check_schema(whole)
    return Draft202012Validator(json.loads(json.dumps(whole)))


def takes(kind: str, data: Any) -> bool:
    return validator(kind).is_valid(data)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_is_taken(path: Path) -> None:
    assert [error.message for error in validator("config").iter_errors(read(path).data)] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_taken(path: Path) -> None:
    assert [error.message for error in validator("profile").iter_errors(read(path).data)] == []


def keys(data: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    for name, part in data.items() if isinstance(data, dict) else ():
        yield from keys(part, (*way, name))


def changed(data: Any, way: tuple[Any, ...], value: Any) -> Any:
    new = deepcopy(data)
    inside = new
    for name in way[:-1]:
        inside = inside[name]
    inside[way[-1]] = value
    return new


def refused(kind: str, data: Any) -> bool:
    try:
        configure(data) if kind == "config" else loads(dump(data))
    except InputError:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("config", ROOT / "examples/gru.yaml"),
        pytest.param("config", ROOT / "examples/adex.yaml", marks=pytest.mark.slow),
        pytest.param("profile", ROOT / "hardware_profiles/pcm.yaml", marks=pytest.mark.slow),
        ("profile", ROOT / "hardware_profiles/pcm_tiles.yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_what_the_schema_refuses_neuroanp_refuses(kind: str, path: Path) -> None:
    """Each key with each wrong value: no editor may mark what would run; and of what is wrong it marks most."""
    data, both, alone = read(path).data, 0, 0
    pairs = [(way, value) for way in keys(data) for value in WRONG if not (way[0] == "task" and value is True)]
    for way, value in pairs[:: 1 if kind == "config" else 5]:
        mutant = changed(data, way, value)
        marks, wrong = not takes(kind, mutant), refused(kind, mutant)
        assert not marks or wrong, (way, value)
        both, alone = both + (marks and wrong), alone + (wrong and not marks)
    assert both > alone


@pytest.mark.parametrize(
    ("kind", "way", "value"),
    [
        ("config", ("colour",), 1), ("config", ("task", "name"), "coppy"), ("config", ("task", "lenght"), 3),
        ("config", ("task", "length"), 0), ("config", ("task", "length"), "3"), ("config", ("network", "hidden"), 1.5),
        ("config", ("rule", "reference"), "three"), ("config", ("dt",), 1e-6), ("config", ("dt",), "fast"),
        ("config", ("rule",), "anq"), ("config", ("seed",), -1), ("config", ("network", "layers"), [{"cell": "gru"}]),
        ("config", ("network", "layers"), [{"cell": "gruu", "units": 3}]), ("config", ("backend",), 7),
        ("profile", ("read", "law"), "pcmm"), ("profile", ("read", "colour"), 1), ("profile", ("colour",), {}),
        ("profile", ("conductance", "g_max"), 25e-6), ("profile", ("conductance", "coding"), "pair"),
        ("profile", ("meta",), {"name": "x"}),
        ("profile", ("conductance", "g_max"), {"value": "25 uS", "status": "guessed"}),
        ("profile", ("conductance", "g_max"), {"value": "25 uS", "colour": 1}),
    ],
)  # fmt: skip
def test_wrong_files_are_refused(kind: str, way: tuple[str, ...], value: Any) -> None:
    data = read(ROOT / ("examples/copy3.yaml" if kind == "config" else "hardware_profiles/pcm.yaml")).data
    assert takes(kind, data)
    assert not takes(kind, changed(data, way, value))


def test_names_meanings_and_defaults_are_in_it() -> None:
    whole = schema("config")
    section = whole["properties"]["task"]["anyOf"]
    assert section[0] == {"enum": TASKS.names()}  # a bare name
    copy = whole["$defs"]["task.copy"]
    assert copy["properties"]["length"]["description"] == "symbols to remember (L)"
    assert (copy["properties"]["length"]["default"], copy["properties"]["name"]) == (3, {"const": "copy"})
    assert whole["properties"]["dt"]["default"] == "1 us"
    profile = schema("profile")
    assert "extends" in profile["then"]["properties"]
    assert profile["else"]["required"] == ["meta", "conductance", "array"]


def test_a_shorthand_and_a_change_are_taken() -> None:
    layers = [{"cell": "gru", "units": 3}, {"cell": {"name": "lstm"}, "units": 2}, {"units": 4}]
    assert takes("config", {"task": "copy", "rule": "bptt", "network": {"layers": layers}})
    assert takes("profile", {"extends": "pcm", "meta": {"name": "x"}, "read": {"q_s": 2}})
    assert not takes("profile", {"extends": "pcm"})


@pytest.mark.parametrize(
    ("text", "fits"),
    [("25 uS", True), ("1e-6S", True), ("-1 uS", True), ("2.5e+1 uS/V", True), ("3 Ω^-1", True), ("25", False),
     ("uS", False), ("25 uS 3", False), ("25 u S", False), ("", False)],
)  # fmt: skip
def test_quantities_are_a_number_and_a_unit(text: str, fits: bool) -> None:
    one = Draft202012Validator(Dimension("conductance", "S", "25 uS").json_schema())
    assert one.is_valid(text) == fits


def test_a_new_config_names_its_schema_which_takes_it(tmp_path: Path) -> None:
    made = new_config("mine", tmp_path, task="xor")
    first = made.path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=neuroanp.schema.json"
    beside = json.loads((tmp_path / "neuroanp.schema.json").read_text())
    assert beside == json.loads(json.dumps(schema("config")))
    assert Draft202012Validator(beside).is_valid(read(made.path).data)


def test_the_command_prints_it(invoke, tmp_path: Path) -> None:
    assert json.loads(invoke("schema").stdout)["title"] == "A run of neuroanp"
    path = tmp_path / "p.json"
    done = invoke("schema", "profile", "-o", str(path))
    assert "# yaml-language-server: $schema=p.json" in done.stdout
    assert json.loads(path.read_text())["title"] == "A hardware profile of neuroanp"
    assert invoke("schema", "profile", "-o", str(path)).exit_code == 2
    assert invoke("schema", "task").exit_code == 2
