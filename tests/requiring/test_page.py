"""The page: whole and safe, and its numbers those of the JSON; and the words, where the numbers are known."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from math import inf
from pathlib import Path
from xml.etree import ElementTree

import pytest

from neuroanp.records.json_io import finite
from neuroanp.requiring import words
from neuroanp.requiring.finding import Finding, Point, in_order
from neuroanp.requiring.kinds import EITHER
from neuroanp.requiring.parameters import Value
from neuroanp.requiring.ranking import ranked
from neuroanp.requiring.report import save, table, to_dict
from neuroanp.requiring.sweep import Asked, Found, Pair, Plan, plan
from neuroanp.training.configure import configure
from tests.requiring.test_response import finding

CONFIG = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2},
    "network": {"hidden": 4},
    "profile": "rram_hfo2",
    "rule": "anp",
    "hardware": {"write": "pulse", "only": ["c2c", "adc"]},
}
SCATTER = (0.8, 0.9, 1.0, 1.1, 1.2)


@cache
def laid_out() -> Plan:
    return plan(configure(CONFIG), Asked.of("test_loss < 0.01", range(len(SCATTER))))


def made(law: dict[str, float], stated: float, pairs: bool = False) -> Found:
    """Return a sweep whose loss is stated (x / x_0)^power along each parameter, powers given, seeds scattered."""
    planned = laid_out()
    asked = planned.asked
    own = Point("", tuple(stated * k for k in SCATTER), ("requirements/own",) * 5)
    findings = []
    for parameter, values in planned.swept:
        points: dict[Value, Point] = {}
        for value in values:
            away = parameter.decades(value) - parameter.decades(parameter.stated or 0.0)
            ratio = 10.0 ** (min(max(away, -2.0), 2.0) * law.get(parameter.key, 0.0))
            points[value] = Point(value, tuple(stated * k * ratio for k in SCATTER), ("requirements/x",) * 5)
        findings.append(Finding(parameter, asked.target, in_order(parameter, points, own)))
    distances = [asked.target.distance(value) for value in own.metric]
    gains = {one.parameter.key: some for one in findings if (some := one.gains(distances)) is not None}
    pays = {one.parameter.key: one.pays[1] for one in findings if one.pays is not None}
    two = Pair(("update.dw", "update.c2c"), (0.05, "ideal"), ("0.05", "ideal"), own, False, stated)
    return Found(planned, own, stated < 0.01, tuple(findings), (two,) * pairs, ranked(gains), ranked(pays))


class Parsed(HTMLParser):
    """Holds the tags of a page that are open, what it asks for, its pictures and its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.pictures: list[str] = []
        self.cells: list[str] = []
        self.row = False
        self.feed(text.replace("<wbr>", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "source"):
            self.open.append(tag)
        if tag == "td" or (tag == "th" and ("scope", "row") in attrs):
            self.cells.append("")
            self.row = True
        for name, value in attrs:
            if name in ("src", "href"):
                (self.pictures if tag == "img" else self.asked).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.row = False

    def handle_data(self, data: str) -> None:
        if self.row:
            self.cells[-1] = f"{self.cells[-1]} {data}".strip()


def test_the_page_is_whole_and_its_numbers_are_those_of_the_record(tmp_path: Path) -> None:
    found = made({"update.dw": 1.5, "update.c2c": 0.1}, stated=0.1, pairs=True)
    page = save(found, tmp_path, "neuroanp requirements c.yaml")
    text = page.read_text()
    parsed = Parsed(text)
    assert parsed.open == []
    assert parsed.asked[0] == "data:,"
    assert len(parsed.asked) == 1 + len(parsed.pictures)  # the numbers of each figure
    assert all(uri.startswith("data:text/csv") for uri in parsed.asked[1:])
    assert len(parsed.pictures) == 1 + len(found.findings)
    for uri in parsed.pictures:
        assert uri.startswith("data:image/svg+xml;base64,")
        ElementTree.fromstring(base64.b64decode(uri.partition(",")[2]))
    assert text.count("<script") == 1  # the one that the policy names by its hash
    assert "script-src 'sha256-" in text
    rows = [str(cell) for row in table(found).rows for cell in row.cells]
    assert parsed.cells == rows
    record = json.loads((page.parent / "requirements.json").read_text())
    assert record == json.loads(json.dumps(finite(to_dict(found))))
    for line in record["words"]:
        assert line.replace("<", "&lt;").replace(">", "&gt;") in text
    for one in record["parameters"]:
        parameter = next(each for each in found.findings if each.parameter.key == one["parameter"])
        if one["requirement"] is not None and one["verdict"] == "falls short":
            at = parsed.cells.index(next(cell for cell in parsed.cells if cell.startswith(one["parameter"] + " ")))
            assert parsed.cells[at + 2] == f"≤ {parameter.shown(one['requirement'])}"
            assert f"{one['margin_decades']:+.2f}" == parsed.cells[at + 4]


def test_the_same_sweep_gives_the_same_page(tmp_path: Path) -> None:
    found = made({"update.dw": 1.0}, stated=0.1)
    found = replace(found, findings=found.findings[:1])
    one, other = save(found, tmp_path / "a", None), save(found, tmp_path / "b", None)
    assert one.name == other.name
    assert one.parent.name == other.parent.name
    assert one.read_bytes() == other.read_bytes()


def test_names_of_others_do_no_harm(tmp_path: Path) -> None:
    found = made({}, stated=0.1)
    evil = replace(
        found, findings=found.findings[:1], plan=replace(found.plan, perturbation="<script>alert(1)</script>\x1b[31m")
    )
    text = save(evil, tmp_path, "x <b>").read_text()
    assert text.count("<script") == 1  # the one that the policy names by its hash
    assert "script-src 'sha256-" in text
    assert "\x1b" not in text


def test_the_cause_is_named_with_what_it_brings() -> None:
    found = made({"update.dw": 1.5, "update.c2c": 0.1}, stated=0.1)
    told = " ".join(words.sentences(found))
    assert told.startswith("rram_hfo2 as stated misses test_loss < 0.01: median 0.100 [0.0800 .. 0.120] over 5 seeds.")
    assert "The cause is update.dw (step of a pulse): at 0.0462 in place of 0.462, all else as stated" in told
    assert "It brings 1.50 [1.50 .. 1.50] decades, more than each of the 2 others on every seed" in told
    assert "probability 0.012)" in told  # 3^-4
    # 0.1 (x / 0.4622)^1.5 = 0.01 at 0.0996; steps of half a decade were run: 0.0462 meets the target, 0.146 does not
    assert "update.dw at most 0.0462 (stated 0.462, crossing at 0.0996, 0.67 decades away)" in told
    assert "update.dw pays most: from 0.462 to 0.0462 it gains 1.50" in told
    assert "† The stated value is illustrative" in told
    assert "No run differs, whatever the value, in update.up_down, periphery.adc.bits." in told


def test_ties_are_said_and_no_cause_is_named() -> None:
    found = made({"update.dw": 1.0, "update.c2c": 0.5}, stated=0.1)  # c2c's ideal is held at two decades
    told = " ".join(words.sentences(found))
    assert "No single cause is named." in told
    assert "they are tied" in told
    assert "update.dw pays most" in told
    assert words.sentences(found)[1].count("update.c2c") == 1


def test_what_plays_no_part_is_no_cause() -> None:
    found = made({"update.dw": -1.0, "update.c2c": -0.5}, stated=0.1)
    assert next(iter(found.ideals.gains)) == "periphery.adc.bits"  # by its 0 decades
    told = words.sentences(found)
    assert told[1] == "No cause is named: no parameter brings anything in the median with its ideal value alone."
    assert "No better value that was run pays in the median." in told
    tied = replace(found, ideals=ranked({"update.dw": [1.0, 1.0, 1.0, -1.0], "periphery.adc.bits": [0.0] * 4}))
    assert "periphery" not in words.cause(tied)
    assert "update.dw brings most with its ideal value alone in the median" in words.cause(tied)


def test_a_window_of_one_value_is_said_once() -> None:
    def said(*met: float) -> str:
        return words.requirement(
            finding({x: [0.001 if x in met else 1.0] * 3 for x in (0.1, 1.0, 10.0, 100.0)}, 1.0, EITHER)
        )

    assert said(10.0) == "x.y at 10, the one value run that meets it"
    assert said(10.0, 100.0) == "x.y within 10, 100"


def test_what_a_profile_exceeds_is_said_with_the_least_first() -> None:
    found = made({"update.dw": 1.0, "update.c2c": 2.0}, stated=0.002)
    told = " ".join(words.sentences(found))
    assert "rram_hfo2 as stated meets test_loss < 0.01" in told
    assert "The cause" not in told
    spare = re.search(r"To spare, one at a time, the least first: (.*?)\.( |$)(?=[A-Z†])", told)
    assert spare is not None
    first = spare[1].partition(";")[0]
    assert first.startswith("update.c2c at most 0.217 (stated 0.217, crossing at 0.486, 0.35 decades to spare")
    (dw,) = [one for one in found.findings if one.parameter.key == "update.dw"]
    assert dw.margin is None  # 1.46 is the largest step within the range, and still meets the target
    assert "update.dw" in told.partition("Target met over all that was swept")[2]


def test_where_half_of_the_runs_diverge_it_is_said(tmp_path: Path) -> None:
    found = made({"update.dw": 1.0}, stated=0.1)
    own = replace(found.stated, metric=(inf,) * 5)
    findings = tuple(
        replace(one, points=tuple(replace(p, metric=(inf,) * 5) if p.value == one.parameter.stated else p
                                  for p in one.points)) for one in found.findings
    )  # fmt: skip
    lost = replace(found, stated=own, findings=findings[:1])
    assert "median diverged [diverged .. diverged]" in words.headline(lost)
    assert save(lost, tmp_path, None).is_file()


@pytest.mark.parametrize("one", ["update.dw", "update.c2c"])
def test_marks_stand_where_values_are_illustrative(one: str) -> None:
    found = made({}, stated=0.1)
    marked = {each.parameter.key: words.marks(each) for each in found.findings}
    assert marked[one] == ""
    assert marked["periphery.adc.bits"] == "†"
