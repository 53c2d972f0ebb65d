"""What Python code passes: of any kind that is meant, and a clear message for the rest."""

from __future__ import annotations

import enum
from fractions import Fraction
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroanp as na
from neuroanp.comparing.grid import expand
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.profiles import available, load
from neuroanp.profiles.loader import loads
from neuroanp.tasks.copy import Copy
from neuroanp.training.arguments import axes_of, listed
from neuroanp.training.arguments import given as asked
from neuroanp.training.build import Experiment
from neuroanp.training.plain import plain
from neuroanp.training.stored_profile import stored

COPY = {"task": "copy"}


class Colour(enum.StrEnum):
    RED = "red"


def axes(**words: Any) -> dict[str, Any]:
    named = dict.fromkeys(("tasks", "backends", "profiles", "rules", "seeds"))
    return axes_of(COPY, None, {**named, **words}, {}, "runs")[1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(5), 5), (np.float32(0.5), 0.5), (np.float64(0.1), 0.1), (np.bool_(True), True), (np.str_("no"), "no"),
        (np.arange(3), [0, 1, 2]), (np.array(2), 2), (torch.tensor([1.5, 2.0]), [1.5, 2.0]), ((1, "a"), [1, "a"]),
        ({2, 1}, [1, 2]), ({"b": 1}.keys(), ["b"]), ((x for x in "ab"), ["a", "b"]), (range(2), [0, 1]),
        (Path("a/b"), "a/b"), (PurePosixPath("x"), "x"), (Colour.RED, "red"), (Fraction(1, 4), 0.25), (None, None),
        ({"a": {"b": np.zeros(1)}}, {"a": {"b": [0.0]}}), (True, True), (2**70, 2**70),
    ],
    ids=lambda value: type(value).__name__,  # no addresses: two workers must collect the same
)  # fmt: skip
def test_values_of_python_become_plain(value, expected):
    found = plain(value, "x")
    assert found == expected
    assert type(found) is type(expected)


def test_pandas_columns_are_sequences():
    pandas = pytest.importorskip("pandas")
    assert listed(pandas.Series([3, 4])) == [3, 4]
    assert axes(profiles=pandas.Series(["pcm", "ideal"]))["profiles"] == ["pcm", "ideal"]


@pytest.mark.parametrize("nothing", [[], (), set(), np.zeros(0), {}.keys()])
@pytest.mark.parametrize("axis", ["tasks", "backends", "profiles", "rules", "seeds"])
def test_a_list_of_nothing_is_not_the_source_s_own(axis, nothing):
    assert axes(**{axis: None})[axis] == []
    with pytest.raises(InputError, match=f"{axis}: nothing is in it; name at least one, or leave it out"):
        na.compare(COPY, **{axis: nothing})
    with pytest.raises(InputError, match=f"{axis}: nothing is in it"):
        axes(**{axis: nothing})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), r"x: <object object .*\(object\) cannot be used"),
        (b"a", "x: b'a'"),
        (ANP, r"x: ANP is a class; pass ANP\("),
        ({1: 2}, "1 .int. is no key"),
        ("\ud800", "not Unicode"),
        (Path("\udce4"), "not Unicode"),
        (1j, "x: 1j"),
        (count(), "more than 100,000 items"),
        (lambda: 1, "function"),
        (np.datetime64("2026-01-01"), "datetime.date"),
    ],
    ids=lambda value: type(value).__name__,  # no addresses: two workers must collect the same
)
def test_what_no_file_can_hold_is_refused(value, said):
    with pytest.raises(InputError, match=said):
        plain(value, "x")


def test_a_list_that_contains_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InputError, match="more than 32 levels of nesting"):
        plain(endless, "x")


NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60)
@given(NESTED)
def test_plain_values_stay_as_they_are(value):
    assert plain(value, "x") == value
    assert repr(plain(value, "x")) == repr(value)


def test_words_of_every_kind_resolve_to_one_configuration(tmp_path):
    said = [
        na.configure(
            {"task": "copy", "rule": {"name": "anp", "K": 3}, "hardware": {"only": ["drift"]}}, seed=2, updates=5
        ),
        na.configure(
            task=np.str_("copy"),
            rule={"name": "anp", "K": np.int8(3)},
            seed=np.int64(2),
            updates=np.uint8(5),
            hardware={"only": ("drift",)},
        ),
        na.configure({"task": Copy.config()}, {"hardware.only": {"drift"}, "rule.K": np.array(3)}, seed=2, updates=5),
        na.configure(COPY, rule=ANP(K=3), training={"updates": 5}, hardware={"only": np.array(["drift"])}, seed=2),
    ]
    assert said[0] == said[1] == said[2] == said[3]
    assert na.configure(said[0]) == said[0]
    path = tmp_path / "a.yaml"
    path.write_text(said[0].to_yaml())
    assert na.configure(path) == na.configure(str(path)) == said[0]


def test_sections_lie_over_those_of_the_source():
    source = {"task": {"name": "copy", "length": 2}, "rule": {"name": "anp", "K": 3}, "network": {"hidden": 7}}
    found = na.configure(source, task={"delay": 1}, rule={"gamma": 0.5}, network={"bias": True})
    assert (found.task.length, found.task.delay, found.rule.K, found.rule.gamma) == (2, 1, 3, 0.5)
    assert (found.network.hidden, found.network.bias) == (7, True)
    other = na.configure(source, task={"name": "xor"}, rule={"name": "np"}, encoder="population", perturbation="none")
    assert (other.task_name, other.rule.K, other.encoder.name, other.perturbation.name) == (
        "xor",
        1,
        "population",
        "none",
    )  # pyright: ignore


def test_a_path_among_the_overrides_is_no_yaml(tmp_path):
    assert na.configure(COPY, {"network.weights": Path("1e3")}).network.weights == "1e3"
    with pytest.raises(InputError, match="put it in quotes"):
        na.configure(COPY, {"network.weights": "1e3"})
    with pytest.raises(InputError, match="pcm: no such file"):
        na.configure(COPY, profile=Path("pcm"))


def test_axes_take_names_sections_and_profiles(tmp_path):
    mine = loads("extends: pcm\nmeta: {name: mine}\n")
    found, chosen = axes_of(
        COPY,
        None,
        {"profiles": [mine, "ideal"], "rules": [{"name": "anp", "K": 3}, ANP(), "bptt"], "seeds": np.arange(2)},
        {"network": {"hidden": 4}, "backend": "rate", "updates": np.int64(3)},
        tmp_path,
    )
    configs = expand(found.source, found.overrides, **chosen, words=found.words)
    assert len(configs) == 2 * 3 * 2
    assert {(c.network.hidden, c.training.updates) for c in configs} == {(4, 3)}
    assert [c.rule_name for c in configs[:6:2]] == ["anp", "anp", "bptt"]
    assert [getattr(c.rule, "K", None) for c in configs[:6:2]] == [3, 1, None]
    assert {load(c.profile).name for c in configs} == {"mine", "ideal"}
    assert {Experiment.of(configs[0]).profile.hash} == {mine.hash}


def test_neurons_by_keyword_stay_with_units_that_spike():
    found = expand({"task": "xor"}, backends=["rate", "lif"], words={"neuron": {"tau_m": "15 ms"}})
    assert [c.neuron and c.neuron.tau_m for c in found] == [None, 15e-3]


@pytest.mark.parametrize("name", available())
def test_a_loaded_profile_is_the_one_that_runs(name, tmp_path):
    profile = load(name)
    assert stored(profile, tmp_path / "runs") == name
    assert not (tmp_path / "runs").exists()
    renamed = profile.model_copy(update={"meta": profile.meta.model_copy(update={"name": "no-1.e3"})})
    path = Path(stored(renamed, tmp_path / "runs"))
    assert path.parent == tmp_path / "runs" / "profiles"
    assert (load(path).text, load(path).hash) == (renamed.text, renamed.hash)
    written = path.stat().st_mtime_ns
    assert stored(renamed, tmp_path / "runs") == str(path)
    assert path.stat().st_mtime_ns == written
    path.write_text("damaged")
    assert load(stored(renamed, tmp_path / "runs")).text == renamed.text


def test_a_profile_that_no_text_can_hold_is_refused(tmp_path):
    profile = load("pcm")
    assert profile.periphery is not None
    for part in ({"t_read": -1.0}, {"bandwidth": object()}):
        changed = profile.model_copy(update={"periphery": profile.periphery.model_copy(update=part)})
        with pytest.raises(InputError, match="profile pcm"):
            na.configure(COPY, profile=changed, runs=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: na.train(5), "source: 5"),
        (lambda: na.train([1]), "source: .1"),
        (lambda: na.train(COPY, runs=3), "runs: 3"),
        (lambda: na.train(COPY, runs=""), "runs: is empty"),
        (lambda: na.train(COPY, runs="a\0b"), "zero byte"),
        (lambda: na.train(COPY, force="yes"), "force: 'yes'"),
        (lambda: na.train(COPY, report=1), "report: 1"),
        (lambda: na.train(COPY, progress=5), "progress: 5"),
        (lambda: na.train(COPY, progress="no"), "progress: 'no'"),
        (lambda: na.train(COPY, argv=5), "argv: 5"),
        (lambda: na.train(COPY, overrides=[("a", 1)]), "overrides: "),
        (lambda: na.train(COPY, profile={"a": 1}), "profile: .*no profile"),
        (lambda: na.train(COPY, task=5), "task: 5"),
        (lambda: na.train(COPY, updates=True), "True is not a whole number"),
        (lambda: na.train(COPY, updates=np.float64(2.5)), "2.5 is not a whole number"),
        (lambda: na.compare(COPY, seeds=0), "seeds: 0"),
        (lambda: na.compare(COPY, seeds=-1), "seeds: -1"),
        (lambda: na.compare(COPY, seeds="3"), "seeds: '3'"),
        (lambda: na.compare(COPY, seeds=True), "seeds: True"),
        (lambda: na.compare(COPY, seeds=[1.5]), "seeds: 1.5"),
        (lambda: na.compare(COPY, seeds=10**9), "1,000,000,000 seeds.*more than the 10,000"),
        (lambda: na.compare(COPY, seeds=[-1]), "seeds: -1"),
        (lambda: na.compare(COPY, workers=0), "workers: 0"),
        (lambda: na.compare(COPY, workers=1.5), "workers: 1.5"),
        (lambda: na.compare(COPY, profiles=5), "profiles: 5"),
        (lambda: na.compare(COPY, rules=[None]), "rules: None"),
        (lambda: na.compare(COPY, rules=ANP), "ANP"),
        (lambda: na.compare(COPY, rule="anp", rules=["np"]), "both are given"),
        (lambda: na.compare(COPY, hidden=1), "network.hidden"),
        (lambda: na.compare(COPY, rules=[{"name": "anq"}]), "unknown rule 'anq'; did you mean 'anp'"),
        (lambda: na.compare(COPY, rules=[{"name": "anp", "L": 3}]), "unknown key"),
        (lambda: na.compare(COPY, ablate="x"), "ablate: 'x'"),
        (lambda: na.transfer(COPY, profiles=5), "profiles: 5"),
        (lambda: na.transfer(COPY, profiles="pcm", task=["copy", "xor"]), "task: copy, xor: a transfer takes one"),
        (
            lambda: na.transfer(COPY, profiles="pcm", task=[{"name": "copy"}, "xor"], backend=["rate", "lif"]),
            "2 problems\n  task: copy, xor: .*\n  backend: rate, lif: a transfer takes one",
        ),
        (lambda: na.transfer(COPY, profiles="pcm", fine_tune=0.5), "fine_tune: 0.5"),
        (lambda: na.transfer(COPY, profiles="pcm", updats=3), "'updats': did you mean 'updates'"),
        (lambda: na.transfer(COPY, profiles="pcm", training={"updates": 0.5}), "training.updates: 0.5"),
        (lambda: na.transfer(COPY, profiles="pcm", rule={"name": "anp", "L": 3}), "unknown key"),
        (lambda: na.transfer(COPY, profiles="pcm", fine_tune_lr="x"), "fine_tune_lr: 'x'"),
        (lambda: na.load_run(None), "run: None"),
        (lambda: na.resume(3.5), "run: 3.5"),
        (lambda: na.evaluate(5), "run: 5"),
        (lambda: na.report(5), "paths: 5"),
        (lambda: na.report([]), "paths: empty"),
        (lambda: na.report(["a"], 5), "a: no such"),
        (lambda: na.export(7, "onnx"), "run: 7"),
        (lambda: na.export("x", "onnx", 5), "path: 5"),
        (lambda: na.export("x", 5), "format: 5"),
        (lambda: na.characterize(5), "profile: 5"),
        (lambda: na.characterize("pcm", seed=-1), "seed: -1"),
        (lambda: na.characterize("pcm", devices="x"), "devices: 'x'"),
        (lambda: na.characterize("pcm", only=5), "only: 5"),
        (lambda: na.characterize("pcm", 5), "output: 5"),
        (lambda: na.estimate(5), "source: 5"),
    ],
)
def test_wrong_arguments_are_told_in_words(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        call()
    assert list(tmp_path.iterdir()) == []


def test_all_wrong_arguments_are_told_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        na.train(5, overrides=7, seed=b"3", profile=2, runs=tmp_path)
    assert [line.partition(":")[0] for line in caught.value.problems] == ["source", "overrides", "seed", "profile"]
    with pytest.raises(InputError) as caught:
        na.evaluate("x", after=5, only=3, without=b"x", profile=7)
    assert [line.partition(":")[0] for line in caught.value.problems] == ["after", "only", "without", "profile"]


def test_given_is_plain():
    found = asked(None, None, {"seed": None, "profile": Path("a/b.yaml")}, Path("x"))
    assert found == (None, {}, {"profile": "a/b.yaml"}, Path("x"))
