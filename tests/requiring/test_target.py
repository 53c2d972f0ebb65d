"""Targets: what is read, what is refused, and how far a value is from one."""

from __future__ import annotations

from math import inf

import pytest

from neuroanp.errors import InputError
from neuroanp.records.result import RESULT_KEYS
from neuroanp.requiring.target import METRICS, RELATIONS, Target
from tests.close import close


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_what_is_written_is_read(metric: str, relation: str) -> None:
    for text in (f"{metric}{relation}0.5", f" {metric}  {relation} 5e-1 "):
        assert Target.of(text) == Target(metric, relation, 0.5)


def test_metrics_are_of_results() -> None:
    assert {*METRICS} <= {*RESULT_KEYS}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("test_loss", "is no target; write METRIC < NUMBER"),
        ("test_loss 0.01", "is no target"),
        ("test_loss = 0.01", "is no target"),
        ("test_loss < __import__('os')", "is no target"),
        ("test_loss < 1e9999", "is no target"),
        ("test_los < 0.01", "a result has no 'test_los'; did you mean 'test_loss'? (it has: test_loss, "),
        ("controls < 1", "a result has no 'controls'"),
        ("test_loss < 0", "is not above 0"),
        ("test_loss < -1", "is not above 0"),
        ("", "is no target"),
    ],
)
def test_what_is_no_target_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Target.of(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("--target: ")


def test_the_relation_decides_at_the_number_itself() -> None:
    met = {relation: Target("test_loss", relation, 0.01).met(0.01) for relation in RELATIONS}
    assert met == {"<=": True, ">=": True, "<": False, ">": False}


@pytest.mark.parametrize("relation", RELATIONS)
def test_distance_is_above_0_where_the_target_is_missed(relation: str) -> None:
    target = Target("score", relation, 0.2)
    for value in (0.02, 0.19, 0.21, 2.0):
        assert (target.distance(value) < 0) == target.met(value)
    assert target.distance(2.0) == close(1.0 if target.less else -1.0)


def test_a_run_that_diverged_is_infinitely_bad_either_way() -> None:
    result = {"status": "diverged", "test_loss": 0.001, "score": 1.0}
    for text in ("test_loss < 1", "score > 0.5"):
        target = Target.of(text)
        value = target.value(result)
        assert value is not None
        assert not target.met(value)
        assert target.distance(value) == inf
