"""Runs in a notebook: one line, and a table that says what a page and a terminal say."""

from __future__ import annotations

from html import escape

import pytest

from neuroanp.records import RunDir
from neuroanp.reporting import brief
from neuroanp.reporting.method import methods
from neuroanp.reporting.ranking import ranking
from neuroanp.reporting.reading import shown
from neuroanp.reporting.values import digits


def rules(build):
    """Runs of two rules on one device, of which the seeds name one the best."""
    return [
        build(rule=rule, seed=seed, final=low * (1 + seed / 10))
        for rule, low in (("anp", 0.003), ("np", 0.009))
        for seed in range(3)
    ]


def test_the_best_is_bold_and_the_line_that_names_it_stands_below(build):
    records = rules(build)
    (line,) = ranking(methods([shown(record).result for record in records]))
    page = str(brief.table(records, "six runs"))
    assert page.count("<b>") == 3  # profile, rule and loss of one row
    assert "<b>anp</b>" in page
    assert f"<div>{escape(line)}</div>" in page


def test_the_marks_of_a_table_are_explained_below_it(build, monkeypatch):
    told = "† From illustrative values, not measurements: energy of pcm & more."
    monkeypatch.setattr(brief, "rests_on", lambda group: [told])
    page = str(brief.table([build()], "one run"))
    assert page.index("</table>") < page.index(f"<div>{told.replace('&', '&amp;')}</div>")


def test_hidden_characters_are_shown_as_escapes(build):
    page = str(brief.table([build(rule="a\u202eb")], "said\x1b[31m", [("label\u202e", "message\x07")]))
    for shown_as in ("a\\u202eb", "said\\x1b[31m", "label\\u202e: message\\x07"):
        assert shown_as in page
    assert not any(c in page for c in "\u202e\x1b\x07")


def spoilt(record, name):
    for place in (record.path, record.path / "copies"):
        if (place / name).exists():
            (place / name).write_text("{")
    return RunDir.open(record.path, check_code=False)


@pytest.mark.parametrize("name", ["result.json", "config.yaml"])
def test_damaged_runs_are_counted_and_leave_the_others_their_rows(build, name):
    records = rules(build)
    records[0] = spoilt(records[0], name)
    said, best = brief.of_runs(records, 1), min(records[1:], key=lambda record: record.result["test_loss"])
    assert said == f"6 runs, 1 damaged, 1 failed; lowest test loss {digits(best.result['test_loss'])} of " + brief.name(
        best.result
    )
    page = str(brief.table(records, said))
    assert "<td>anp</td><td>2</td>" in page
    assert "<td>np</td><td>3</td>" in page
    assert brief.table(records[:1], said) is None
