"""Axes over keys and settings of rules: they land where they are said to, nowhere else, and never over each other."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.comparing.grid import expand, lay_out
from neuroanp.errors import InputError
from neuroanp.training.configure import configure

BASE = {"task": {"name": "copy", "length": 2}, "rule": {"name": "anp", "K": 4}, "profile": "ideal"}

AXES = {
    "network.hidden": st.integers(1, 300),
    "optimizer.lr": st.floats(1e-6, 1.0),
    "training.batch": st.integers(1, 64),
    "optimizer.schedule": st.sampled_from(["cosine", "linear", "constant"]),
    "optimizer.clip": st.one_of(st.none(), st.floats(0.1, 10.0)),
}


def axis(key: str):
    return st.lists(AXES[key], min_size=1, max_size=3, unique=True)


@settings(max_examples=20, deadline=None)
@given(
    axes=st.sets(st.sampled_from([*AXES]), max_size=3).flatmap(
        lambda keys: st.fixed_dictionaries({k: axis(k) for k in keys})
    ),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=2, unique=True),
)
def test_every_combination_is_what_its_values_configure(axes, seeds):
    """The product in order, seeds changing fastest, and each the configuration that --set would make."""
    rules = ["anp", "bptt"]
    found = expand(BASE, rules=rules, axes=axes, seeds=seeds)
    said = [
        configure(BASE, dict(zip(axes, values, strict=True)), rule=rule, seed=seed)
        for rule in rules
        for values in product(*axes.values())
        for seed in seeds
    ]
    assert found == said


def test_values_are_taken_as_python_and_as_text_have_them():
    keys = [
        {"network.hidden": np.array([10, 20])}, {"network.hidden": (10, 20)}, {"network.hidden": "10,20"},
        {"network.hidden": "10..20:lin,2"}, {"network.hidden": range(10, 21, 10)},
    ]  # fmt: skip
    first, *others = [lay_out(BASE, axes=axes, seeds=[0]) for axes in keys]
    assert [config.network.hidden for config in first.configs] == [10, 20]
    assert all(other.configs == first.configs for other in others)
    assert [one.options for one in first.combinations] == [{"network.hidden": 10}, {"network.hidden": 20}]
    assert first.counts == {"value of network.hidden": 2, "seed": 1}


def test_an_axis_may_be_of_a_part_of_a_list_of_names_and_of_sections():
    layers = {"network": {"layers": [{"cell": "tanh", "units": 5}, {"units": 4}]}}
    units = [c.network.layers[1].units for c in expand({**BASE, **layers}, axes={"network.layers[1].units": [6, 7]})]
    assert units == [6, 7]
    encoders = expand(BASE, axes={"encoder": ["current", {"name": "current", "hold": 2}]})
    assert [config.encoder.hold for config in encoders] == [1, 2]
    switched = expand({**BASE, "profile": "pcm"}, axes={"hardware.without": "[drift],[]"})
    assert [config.hardware.without for config in switched] == [["drift"], []]


def test_a_rule_comes_with_settings_of_its_own():
    own = {"anp": {"optimizer.lr": 5e-3, "rule.K": 3}, "np,bptt": {"optimizer.name": "sgd"}}
    found = expand(BASE, {"training.batch": 8}, rules=["anp", "np", "bptt"], for_rule=own)
    assert [(c.rule_name, c.optimizer.lr, c.optimizer.name, c.training.batch) for c in found] == [
        ("anp", 5e-3, "adam", 8), ("np", 1e-3, "sgd", 8), ("bptt", 1e-3, "sgd", 8)
    ]  # fmt: skip
    assert found[0].rule.K == 3


def test_settings_of_a_rule_are_for_all_its_sections_and_for_the_source_s_own():
    rules = [{"name": "anp", "K": 2}, "anp", "bptt"]
    found = expand(BASE, rules=rules, for_rule={"anp": {"optimizer.lr": 0.5}})
    assert [(c.rule_name, c.optimizer.lr) for c in found] == [("anp", 0.5), ("anp", 0.5), ("bptt", 1e-3)]
    (own,) = expand(BASE, for_rule={"anp": {"rule.K": 7}})
    assert own.rule.K == 7
    (other,) = expand({**BASE, "rule": "bptt"}, for_rule={"bptt": {"rule.truncation": 2}})
    assert other.rule.truncation == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"axes": {"network.hiden": [1, 2]}}, "network.hiden: unknown key; did you mean 'network.hidden'"),
        ({"axes": {"network.hidden": [0, 5]}}, "--axis network.hidden=0: network.hidden: 0 must be at least 1"),
        ({"axes": {"network.hidden": []}}, "--axis network.hidden: nothing is in it"),
        ({"axes": {"network.hidden": [3, 3]}}, "--axis network.hidden: 3 is named twice"),
        ({"axes": {"seed": [1, 2]}}, "--axis seed: has an option of its own, --seeds"),
        ({"axes": {"rule.name": ["anp"]}}, "--axis rule.name: has an option of its own, --rules"),
        ({"axes": {"a..b": [1]}}, "--axis 'a..b': is no key"),
        ({"axes": ["network.hidden"]}, "is not a mapping"),
        ({"axes": {"network.layers.0.units": [1], "network.layers[0].units": [2]}}, "is given twice"),
        ({"axes": {"rule.K": [1, 2]}, "rules": ["anp", "bptt"]}, "(rule 'bptt'; --for RULE:KEY=VALUE is for the rules"),
        ({"axes": {"optimizer.lr": [1, 2]}, "overrides": {"optimizer.lr": 3}}, "--axis optimizer.lr: is set by --set"),
        ({"axes": {"optimizer.lr": [1, 2]}, "overrides": {"optimizer": {}}}, "--updates) of optimizer too"),
        ({"axes": {"optimizer.lr": [1]}, "for_rule": {"anp": {"optimizer.lr": 1}}}, "lr: is set by --for anp too"),
        ({"for_rule": {"bptt": {"optimizer.lr": 1}}}, "--for bptt: is not compared here (compared: anp)"),
        ({"for_rule": {"anq": {"optimizer.lr": 1}}}, "did you mean 'anp'"),
        ({"for_rule": {"anp": {"optimizer.lr": 0}}}, "--for anp:optimizer.lr=0: optimizer.lr: 0 must be above 0"),
        ({"for_rule": {"anp": {"seed": 1}}}, "has an option of its own, --seeds"),
        ({"for_rule": {"anp,anp": {"optimizer.lr": 1}}}, "--for anp:optimizer.lr: is given twice"),
        ({"for_rule": {"anp": 3}}, "is no mapping"),
        ({"axes": {"encoder.hold": ["1", "2"], "encoder": ["current"]}}, "is set by --axis of encoder.hold too"),
        ({"rules": ["anp", {"name": "anp", "K": 4}]}, "two combinations are one and the same run"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_key_value_and_what_is_allowed(words, said):
    overrides = words.pop("overrides", None)
    with pytest.raises(InputError) as caught:
        expand(BASE, overrides, **words)
    assert said in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_all_wrong_values_are_told_at_once_and_each_once():
    with pytest.raises(InputError) as caught:
        expand(BASE, rules=["anp", "bptt"], axes={"network.hidden": [0, -1], "training.batch": [0, 4]}, seeds=[0, 1])
    assert len(caught.value.problems) == 3
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "--axis network.hidden=0", "--axis training.batch=0", "--axis network.hidden=-1"
    ]  # fmt: skip


def test_an_axis_that_a_backend_ignores_is_no_second_run():
    """Units that do not spike have no time constant: the axis is refused, and not run twice."""
    with pytest.raises(InputError):
        expand({"task": "xor"}, backends=["rate", "spiking"], axes={"neuron.tau_m": ["10 ms", "20 ms"]})
