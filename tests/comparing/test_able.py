"""Rules that cannot run where others can are left out with their reasons; what is wrong for all is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import neuroanp as na
from neuroanp.comparing import desk
from neuroanp.comparing.grid import expand, lay_out
from neuroanp.errors import InputError

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 0, "symbols": 2, "test_size": 4},
    "network": {"hidden": 4},
    "training": {"updates": 1, "batch": 5, "controls": False},
}


def compared(tmp_path: Path, **words):
    return na.compare(TINY, seeds=[0], runs=tmp_path, report=False, progress=False, workers=1, **words)


def test_each_rule_runs_where_it_can_and_says_why_where_it_cannot(tmp_path: Path, caplog, monkeypatch):
    """One is refused by its configuration, one by its task, and one on one of two profiles alone."""
    monkeypatch.setattr(desk, "_needs", lambda experiment: "no process is started for it")
    found = compared(tmp_path, rules=["np", "nrl", "cdrge", "sampled"], profiles=["ideal", "pcm"])
    ran = {(run.result["profile"], run.result["rule"]) for run in found.runs}
    assert ran == {("ideal", "np"), ("ideal", "cdrge"), ("pcm", "cdrge")}
    why = dict(found.failed)
    assert set(why) == {"ideal sampled", "pcm sampled", "ideal nrl", "pcm nrl", "pcm np"}
    assert "left out: configuration: network.bias: rule 'sampled' puts each unit" in why["pcm sampled"]
    assert "left out: rule: 'nrl' learns from worlds, and task 'copy' has sequences" in why["ideal nrl"]
    assert "left out: np must know the noise" in why["pcm np"]
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert sorted(told) == sorted(f"{name}: {reason}" for name, reason in found.failed)  # each once


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"rules": ["nrl", "reinforce"]}, "'nrl' learns from worlds"),
        ({"rules": ["cdrge", "nrl"], "for_rule": {"cdrge": {"rule.k": 3}}}, r"rule\.k: unknown key"),
        ({"rules": [{"name": "anp", "K": 0}, "bptt"]}, r"rule\.K: 0 must be at least 1"),
        ({"rules": ["anp", "sampled"], "overrides": {"training.batch": 0}}, "batch: 0 must be at least 1"),
        ({"rules": ["anp", "bptt"], "profiles": ["pmc"]}, "did you mean 'pcm'"),
    ],
    ids=["all", "for", "option", "set", "profile"],
)
def test_what_is_wrong_for_all_or_was_given_is_refused_and_nothing_runs(words, said, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        compared(tmp_path, **words)
    assert not [*tmp_path.iterdir()]


def test_a_configuration_that_a_rule_does_not_go_with_is_left_out_of_many_and_refused_of_one():
    grid = lay_out(TINY, rules=["anp", "sampled"], seeds=[0, 1])
    assert [(one.rule_name, one.seed) for one in grid.configs] == [("anp", 0), ("anp", 1)]
    assert [name for name, _ in grid.left_out] == ["sampled"]
    for rules in (["sampled"], ["anp", "sampled"]):
        with pytest.raises(InputError, match="puts each unit"):
            expand(TINY, rules=rules)
