"""A comparison is the product of its axes."""

from __future__ import annotations

from itertools import product

import pytest

from neuroanp.comparing.grid import expand
from neuroanp.errors import InputError
from neuroanp.training.resolving import resolve

BASE = {"task": {"name": "copy", "length": 2}, "rule": {"name": "anp", "K": 4}, "profile": "pcm", "seed": 7}


def test_every_combination_once_in_the_order_of_the_axes():
    found = expand(BASE, tasks=["copy", "mackey_glass"], profiles=["ideal", "pcm"], rules=["anp", "bptt"], seeds=[0, 1])
    said = [(c.task_name, c.profile, c.rule_name, c.seed) for c in found]
    assert said == list(product(["copy", "mackey_glass"], ["ideal", "pcm"], ["anp", "bptt"], [0, 1]))


def test_an_axis_not_named_keeps_what_the_source_says():
    (only,) = expand(BASE)
    assert (only.task.length, only.profile, only.rule.K, only.seed) == (2, "pcm", 4, 7)


def test_options_stay_with_the_name_they_were_written_for():
    anp, bptt = expand(BASE, rules=["anp", "bptt"])
    assert anp.rule.K == 4
    assert not hasattr(bptt.rule, "K")
    copy, glass = expand(BASE, tasks=["copy", "mackey_glass"])
    assert copy.task.length == 2
    assert glass.task_name == "mackey_glass"


def test_overrides_reach_every_run():
    assert {c.training.updates for c in expand(BASE, {"training.updates": 3}, seeds=[1, 2])} == {3}


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"seeds": [0, 1, 0]}, "'0' is named twice"),
        ({"profiles": ["pcm", "pcm"]}, "'pcm' is named twice"),
        ({"rules": ["anp", "anq"]}, "did you mean 'anp'"),
        ({"tasks": ["cpy"]}, "did you mean 'copy'"),
        ({"seeds": [-1]}, "seed"),
    ],
)
def test_mistakes_are_told_before_anything_runs(axes, said):
    with pytest.raises(InputError, match=said):
        expand(BASE, **axes)


FAULTY = {**BASE, "training": {"batch": 0}, "profile": "pmc"}


@pytest.mark.parametrize("how", ["mapping", "file", "override", "comparison"])
def test_a_wrong_profile_is_told_beside_a_wrong_configuration(how, tmp_path):
    path = tmp_path / "faulty.yaml"
    path.write_text("task: copy\nprofile: pmc\ntraining: {batch: 0}\n")
    resolving = {
        "mapping": lambda: resolve(FAULTY),
        "file": lambda: resolve(path),
        "override": lambda: resolve({**FAULTY, "profile": "ideal"}, {"profile": "pmc"}),
        "comparison": lambda: expand(FAULTY),
    }
    with pytest.raises(InputError, match="has 2 problems") as caught:
        resolving[how]()
    assert "training.batch" in caught.value.problems[0]
    assert "did you mean 'pcm'" in caught.value.problems[1]


def test_a_wrong_profile_is_told_beside_missing_data():
    with pytest.raises(InputError) as caught:
        resolve({"task": {"name": "weather", "path": "none.csv", "target": "temp"}}, None, {"profile": "pmc"})
    assert "'pcm'" in caught.value.problems[0]
    assert "none.csv" in caught.value.problems[1]
    with pytest.raises(InputError, match=r"^unknown profile 'pmc'; did you mean 'pcm'"):
        resolve(BASE, {"profile": "pmc"})
