"""A requirement lies on the better side of the stated value, within its bracket, and says how large negatives are."""

from __future__ import annotations

from dataclasses import replace

from neuroanp.requiring.finding import NOWHERE, Finding, Point
from neuroanp.requiring.kinds import KINDS
from neuroanp.requiring.parameters import Parameter
from neuroanp.requiring.target import Target
from neuroanp.requiring.words import requirement


def finding(points, stated, key="update.dw"):
    kind = next(each for each in KINDS if each.key == key)
    target = Target.of("test_loss < 0.01")
    made = tuple(Point(value, tuple(metric), ("",) * len(metric)) for value, metric in points)
    return Finding(Parameter(replace(kind, keys=(key,)), stated, "", "fitted", ""), target, made)


def test_what_is_met_on_the_worse_side_alone_is_no_requirement():
    met = finding([(0.002, [0.05] * 3), (0.0063, [0.005] * 3), (0.02, [0.05] * 3)], 0.002)
    assert met.windows == []
    assert met.requirement is None
    assert met.verdict == NOWHERE


def test_the_crossing_of_two_seeds_lies_in_its_bracket():
    found = finding([(0.095, [0.002, 0.006]), (0.3, [0.001, 0.0195])], 0.3)
    (limit,) = found.limits
    assert limit.at is not None
    assert 0.095 <= limit.at <= 0.3


def test_of_a_negative_parameter_its_size_is_told():
    found = finding([(-0.03, [0.002] * 5), (-0.1, [0.004] * 5), (-0.3, [0.05] * 5)], -0.3, "update.up_down")
    assert "|update.up_down| at most 0.1" in requirement(found)
