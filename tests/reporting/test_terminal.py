"""Results on a terminal: no name is cut where it is narrow, and one warning stands for all methods it is of."""

import io

import pytest

from neuroanp.cli.results import on_screen
from neuroanp.cli.screen import console
from neuroanp.reporting.reading import shown


def on_terminal(runs, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    out = console()
    for thing in on_screen(runs, out):
        out.print(thing)
    return stream.getvalue()


@pytest.fixture
def runs(build):
    return [
        shown(build(profile=profile, rule=rule, seed=seed, final=0.01))
        for profile in ("pcm", "smtj_koenders")
        for rule in ("anp", "bptt")
        for seed in (0, 1)
    ]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_name_and_no_column_is_cut(runs, width, monkeypatch):
    text = on_terminal(runs, width, monkeypatch)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for name in ("profile", "rule", "seeds", "smtj_koenders", "bptt", "noise-free", "energy", "wear"):
        assert name in words, name
    assert ("[" in text.partition("what it cost")[0]) == (width > 80)  # medians alone where ranges have no room


def test_one_warning_stands_for_all_methods_it_is_of(runs, monkeypatch):
    text = " ".join(on_terminal(runs, 120, monkeypatch).split())
    assert text.count("has not shown that its recurrence learned") == 1
    assert "4 methods, each: has not shown that its recurrence learned (pcm · anp, pcm · bptt" in text
