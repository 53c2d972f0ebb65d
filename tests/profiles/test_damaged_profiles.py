"""Damaged profiles load, or every problem is told with file and line; no other error comes out of a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.profiles import available, load, loads
from neuroanp.yaml_io import dump, parse

FAST = 100
QUIET = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate],  # add Phase.shrink for a smaller example
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
Draw = Callable[[st.SearchStrategy[Any]], Any]
Values = dict[str, Any]

JUNK = st.one_of(
    st.sampled_from([
        None, True, "", " ", -1, 0, 1.5, -1e300, 1e300, 10**400, float("nan"), float("inf"), "nan S", "-inf S", "-1 uS",
        "1e999 S", "1e-999 S", "5 bananas", "1 uS uS", "25", "0 s", "1e400", "25 % S", "µS", "25 µS", "9" * 300 + " S",
        "x" * 5000, "ж", "日本", "\U0001f600", "a: b", "*alias", "&anchor", "!!python/object:os.system", "<<", "~",
        "null", "2024-01-01", "0x10", "1_000", ".5", "1:30", "on", "\u2028", "\x7f", "../../etc/passwd", ".",
        "/dev/zero", [], {}, [1, [2, [3]]], [None], {"value": None}, {"value": {"value": 1}},
        {"value": "1 uS", "status": "sure"},
        {"value": "1 uS", "source": ""}, {"law": "pcm"}, {"law": None}, {"law": ["pcm"]},
        {"law": "measured", "file": "."}, {"law": "measured", "file": "\0"}, {"extends": "pcm"},
    ]),
    st.text(max_size=30),
    st.floats(),
    st.integers(),
    st.integers(1, 60).map(lambda depth: nested(depth)),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(["law", "value", "extends", "meta", "read", "g_max", "1", "", "yes", "<<", "t_read", "Law", "ß"]),
    st.text(max_size=12),
)
PLACE = re.compile(r"[^\n]*\.(yaml|csv|npz)(:\d+)?: .+", re.DOTALL)
LINELESS = re.compile(r"damaged\.yaml: ([^:]+: required key is missing|the file is empty|not YAML)")
"""What a problem may say without a line: there is none to point to."""


def nested(depth: int) -> Any:
    """A value so many levels deep."""
    return "0 S" if depth == 0 else {"deeper": nested(depth - 1)} if depth % 3 else [nested(depth - 1)]


@cache
def shipped(name: str) -> Values:
    """The content of a shipped profile, canonical."""
    return parse(load(name).text, name).data


def places(part: Any, key: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value of nested mappings and lists."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [key] * bool(key) + [place for name, value in inner for place in places(value, (*key, name))]


def mutate(draw: Draw, content: Values) -> None:
    """Do one damage to the content: drop, replace, rename, move or add something."""
    ways = places(content)
    if not ways:
        return
    *above, last = draw(st.sampled_from(ways))
    section = content
    for name in above:
        section = section[name]
    kind = draw(st.sampled_from(["drop", "replace", "replace", "replace", "rename", "add", "scale", "unit", "swap"]))
    if kind == "drop":
        del section[last]
    elif kind == "rename" and isinstance(section, dict):
        section[draw(KEYS)] = section.pop(last)
    elif kind == "add" and isinstance(section, dict):
        section[draw(KEYS)] = deepcopy(draw(JUNK))
    elif kind == "scale" and isinstance(section[last], int | float):
        section[last] = section[last] * draw(st.sampled_from([-1, 0, 1e-300, 1e9, 1e300]))
    elif kind == "unit" and isinstance(section[last], str):
        section[last] = section[last].partition(" ")[0] + draw(st.sampled_from(["", " V", " ms", " kS", " %", " degC"]))
    elif kind == "swap":
        section[last] = deepcopy(draw(st.sampled_from([content, *content.values()])))
    else:
        section[last] = deepcopy(draw(JUNK))


@st.composite
def damaged(draw: Draw) -> str:
    """The text of a shipped profile with up to three things done to it."""
    content = deepcopy(shipped(draw(st.sampled_from(available()))))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        mutate(draw, content)
    text = dump(content)
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from(["\t", "\0", "\n", "{", "]", ": ", "*x", "&x ", "---\n", "\ud800", "%"]))
            + text[at:]
        )
    return text


def problems_of(text: str) -> tuple[str, ...]:
    """Load a text and write it out again; return what is wrong with it."""
    try:
        profile = loads(text, "damaged.yaml")
    except InputError as error:
        return error.problems or ("refused without a problem",)
    again = loads(profile.text, "again.yaml")
    assert (again.hash, again.text) == (profile.hash, profile.text)
    return ()


def refuse(examples: int) -> None:
    """Load damaged profiles: each loads and writes itself out again, or every problem is told with its place."""
    seen: Counter[str] = Counter()

    @settings(QUIET, max_examples=examples)
    @given(damaged())
    def one(text: str) -> None:
        seen["drawn"] += 1
        problems = problems_of(text)
        for problem in problems:
            assert PLACE.fullmatch(problem), problem
            assert re.match(r".*\.yaml:\d+: ", problem) or LINELESS.match(problem), problem
        seen["refused" if problems else "loaded"] += 1

    one()
    assert seen["refused"] > 0.5 * seen["drawn"]
    assert seen["loaded"] > 0


def test_damaged_profiles_load_or_say_where_and_why():
    refuse(FAST)


@pytest.mark.long
def test_five_hundred_damaged_profiles_load_or_say_where_and_why():
    refuse(500)
