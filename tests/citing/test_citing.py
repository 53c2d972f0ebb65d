"""What is cited is what is written in code and profiles, in BibTeX that a strict parser takes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from neuroanp import citing
from neuroanp.citing.bibtex import Entry, bibtex, keyed
from neuroanp.citing.sources import in_docstrings, parts_of
from neuroanp.errors import InputError
from neuroanp.profiles import available, load
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.filling import METHODS

FIELDS = {"note", "year", "eprint", "archiveprefix", "doi", "title", "version", "url"}


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Read a .bib file strictly: entries and % comments alone, unique keys, braces that close, known escapes."""
    found: dict[str, dict[str, str]] = {}
    at = 0
    while at < len(text):
        if text[at] in "\n ":
            at += 1
        elif text[at] == "%":
            line = text[at : text.index("\n", at)]
            assert "@" not in line
            at += len(line)
        else:
            head = re.compile(r"@(misc|software)\{([a-z0-9_]+),\n").match(text, at)
            assert head, text[at : at + 80]
            assert head[2] not in found
            at, fields = head.end(), {}
            while text[at] != "}":
                name = re.compile(r"  ([a-z]+) = \{").match(text, at)
                assert name, text[at : at + 80]
                assert name[1] not in fields
                end = depth = 0
                for end in range(name.end(), len(text)):
                    depth += {"{": 1, "}": -1}.get(text[end], 0)
                    if depth < 0:
                        break
                value = text[name.end() : end]
                bare = re.sub(r"\\(?:[%&#_$]|symbol\{64\}|text[a-z]+ )", "", value)
                assert name[1] in ("doi", "url") or not re.search(r"[\\{}%&#_$~^@\n]", bare), value
                fields[name[1]] = value
                assert text[end : end + 3] == "},\n", value
                at = end + 3
            found[head[2]] = fields
            at += 1
    return found


@pytest.mark.parametrize("rule", METHODS.names())
def test_every_rule_names_what_its_module_says(rule: str) -> None:
    entries = citing.of_rule(rule)
    found = parsed(bibtex(entries))
    assert all(set(fields) <= FIELDS for fields in found.values())
    source = Path(sys.modules[METHODS.get(rule).__module__].__file__ or "").read_text()
    words = " ".join(source.split())
    for one in entries:
        assert one.fields["note"].replace('"', "") in words.replace('"', ""), one  # word for word


@pytest.mark.parametrize("name", available())
def test_every_profile_is_cited_with_its_doi(name: str) -> None:
    profile = load(name)
    found = parsed(bibtex(citing.of_profile(name)))
    dois = {fields["doi"] for fields in found.values() if "doi" in fields}
    assert profile.meta.doi is None or profile.meta.doi in dois
    written = " ".join(origin.source for origin in profile.provenance.values())
    numbers = set(re.findall(r"10\.\d{4,}/\S+", f"{written} {profile.meta.doi}"))
    assert all(any(doi in number for number in numbers) for doi in dois if profile.meta.doi is not None)


@pytest.mark.parametrize("task", TASKS.names())
def test_every_task_makes_a_file(task: str) -> None:
    parsed(bibtex(citing.of_task(task)))


def test_known_sources_are_in_it() -> None:
    anp = parsed(bibtex(citing.of_rule("anp")))
    assert [fields["eprint"] for fields in anp.values()] == ["2405.08967", "2310.00965", "2412.12783"]
    digits = parsed(bibtex(citing.of_task("digits")))
    assert {"10.24432/C50P49"} == {fields["doi"] for fields in digits.values() if "doi" in fields}
    assert "scikit-learn" in {fields.get("title") for fields in digits.values()}
    pcm = parsed(bibtex(citing.of_profile("pcm")))
    assert any("Mixed-precision deep learning" in fields["note"] for fields in pcm.values())
    assert not any("a choice" in fields["note"] for fields in pcm.values())


def test_one_publication_is_there_once_whoever_names_it() -> None:
    both = keyed([*citing.of_rule("anp"), *citing.of_profile("smtj_koenders")])
    of = [one.of for one in both if "2412.12783" in " ".join(one.fields.values())]
    assert len(of) == 1
    assert of[0].startswith("rule anp, profile smtj_koenders")
    assert len({one.key for one in both}) == len(both)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("A, J. 8, 229 (1992)", {"year": "1992"}),
        ("A, pages 1990 to 2004 (1998), doi 10.24432/C50P49.", {"year": "1998", "doi": "10.24432/C50P49"}),
        ("A, arXiv:2005.01234v2", {"eprint": "2005.01234", "archiveprefix": "arXiv"}),
        ("A (2020), https://doi.org/10.1000/a_b(1)", {"year": "2020", "doi": "10.1000/a_b(1"}),
    ],
)
def test_numbers_are_taken_from_the_text(text: str, fields: dict[str, str]) -> None:
    assert dict(Entry.of_text("x", text).fields) == {"note": text, **fields}


@pytest.mark.parametrize("text", ["}", "{", "a\\", "100 % & $x_1^2$ ~ #", "@misc{evil,}", "\x1b[31m", "x}, doi = {1"])
def test_no_text_breaks_out_of_its_field(text: str) -> None:
    (fields,) = parsed(bibtex([Entry.of_text(f"rule {text}", text)])).values()
    assert set(fields) <= {"note", "doi", "year"}
    assert "\x1b" not in bibtex([Entry.of_text(text, text)])


def test_lists_are_split_at_semicolons_outside_parentheses() -> None:
    assert parts_of("A (b; c);\n  D (e).") == ["A (b; c)", "D (e)"]

    class Own:
        """A rule of one's own.

        Source: none yet; Mine et al. (2026).
        """

    own = type("Own", (), {"__module__": __name__, "__doc__": Own.__doc__})
    assert "Mine et al. (2026)" not in in_docstrings(own)  # it is no part of the module
    globals()["Own"] = own
    assert in_docstrings(own) == ["Mine et al. (2026)"]


def test_the_command(invoke) -> None:
    done = invoke("cite", "--rule", "anp", "--profile", "pcm", "--json")
    rows = json.loads(done.stdout)["results"]
    assert {row["key"] for row in rows} == set(parsed(invoke("cite", "--rule", "anp", "--profile", "pcm").stdout))
    one, other, both = (parsed(invoke("cite", "--rule", name).stdout) for name in ("anp", "oua", "anp,oua"))
    assert {*both} == {*one, *other} > {*one}
    assert invoke("cite").exit_code == 2
    assert invoke("cite", "last", "--rule", "anp").exit_code == 2
    done = invoke("cite", "--rule", "anq")
    assert (done.exit_code, "did you mean 'anp'?" in done.stderr) == (2, True)
    with pytest.raises(InputError, match="unknown rule"):
        citing.of_rule("anq")


@pytest.mark.slow
def test_a_run_is_cited_with_all_that_it_used(tmp_path: Path) -> None:
    import neuroanp as na

    layers = [{"cell": "gru", "units": 4}]
    run = na.train(
        task="digits", profile="pcm", rule="anp", network={"layers": layers}, training={"batch": 2, "controls": False},
        updates=1, runs=tmp_path, report=False, progress=False,
    )  # fmt: skip
    entries = keyed(citing.of_run(run.path))
    found = parsed(bibtex(entries))
    of = {name for one in entries for name in one.of.split(", ")}
    assert {"neuroanp", "rule anp", "profile pcm", "task digits", "cells", "simulated with torch"} <= of
    titles = {fields["title"]: fields.get("version") for fields in found.values() if "title" in fields}
    assert titles["torch"] == run.record.manifest["torch"]
    assert titles["neuroanp"] is not None
