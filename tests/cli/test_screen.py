"""No character that acts unseen reaches a terminal, a page or a log, whatever others write into their files."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.cli import screen
from neuroanp.errors import HIDDEN, InputError, RunError, printable

ACTS = "\x1b]0;pwned\x07 \x1b[31m \x9b2J \x7f \r \u202e \u2066 \u200e \u061c \u200b \u2028 \u2029 \ufeff \x00"


def clean(shown: str) -> bool:
    return not [c for c in shown if c not in "\n\t" and category(c) in HIDDEN]


@given(text=st.text())
def test_a_printable_text_hides_nothing_and_loses_nothing(text: str) -> None:
    shown = printable(text)
    assert clean(shown)
    assert printable(shown) == shown
    kept = [c for c in text if c in "\n\t" or category(c) not in HIDDEN]
    left = iter(shown)
    assert all(c in left for c in kept)  # in their order


@pytest.mark.parametrize("text", ["plain", "σ² = 0.5 µS — ±3 %", "日本語", "a\n\tb", "e\u0301"])
def test_what_is_no_danger_stays(text: str) -> None:
    assert printable(text) == text


def test_each_dangerous_character_is_shown_as_an_escape() -> None:
    shown = printable(ACTS)
    for escape in (r"\x1b", r"\x07", r"\x9b", r"\x7f", r"\r", r"\u202e", r"\u2066", r"\u200e", r"\u061c", r"\u2028"):
        assert escape in shown


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.just(ACTS))
def test_whatever_is_printed_is_clean(text: str) -> None:
    """As plain lines, texts, parts of texts, cells and headings of tables, and errors."""
    from rich.table import Table

    table = Table(title=text)
    for heading in (text, screen.text(text)):
        table.add_column(heading)
    table.add_row(text, screen.texts((text, "bold"), text))
    out = screen._console()(file=io.StringIO(), width=80, force_terminal=False, highlight=False, markup=False)
    for thing in (text, screen.text(text), screen.texts(text, (text, "dim")), table):
        out.print(thing)
    assert clean(out.file.getvalue())  # pyright: ignore[reportAttributeAccessIssue]


def test_colours_are_ours_alone() -> None:
    out = screen._console()(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", highlight=False)
    out.print(screen.text("\x1b[31mred", "bold"))
    shown = out.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert shown == "\x1b[1m\\x1b[31mred\x1b[0m\n"


def test_no_text_is_markup() -> None:
    out = screen._console()(file=io.StringIO(), width=80, markup=False, emoji=False)
    out.print("[/foo] [link=http://x]y[/link] :smile:")
    assert out.file.getvalue() == "[/foo] [link=http://x]y[/link] :smile:\n"  # pyright: ignore


@pytest.mark.parametrize("kind", [InputError, RunError])
def test_errors_and_logs_are_clean_from_python_too(kind: type[Exception], caplog) -> None:
    assert clean(str(kind(ACTS)))
    assert clean(str(InputError("two", [ACTS])))
    logging.getLogger("neuroanp").warning("left out: %s", ACTS)
    assert clean(caplog.messages[-1])


PROFILE = {"extends": "pcm", "meta": {"name": "a", "summary": ACTS, "source": ACTS, "status": "illustrative"}}


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stranger.yaml"
    path.write_text(json.dumps(PROFILE))
    return path


@pytest.mark.parametrize(
    "words",
    [["profiles", "show", "stranger.yaml"], ["profiles", "show", "stranger.yaml", "--json"],
     ["profiles", "diff", "pcm", "stranger.yaml"], ["profiles", "validate", ACTS.replace("\0", "")],
     ["profiles", "validate", "stranger.yaml"], ["train", ACTS], ["train", "--" + ACTS], [ACTS],
     ["train", "--seed", ACTS], ["compare", "--task", "copy", "--profiles", ACTS], ["report", ACTS],
     ["train", "--task", ACTS], ["train", "--task", "copy", "--set", f"{ACTS}={ACTS}", "--debug"]],
    ids=lambda words: " ".join(words[:2]).encode("unicode_escape").decode(),
)  # fmt: skip
def test_no_command_shows_a_stranger_s_escapes(stranger: Path, invoke, words: list[str]) -> None:
    done = invoke(*words)
    assert done.exit_code in (0, 2), done.stderr
    assert clean(done.stdout + done.stderr)


def test_an_unknown_key_is_shown_as_an_escape(stranger: Path, invoke) -> None:
    stranger.write_text(json.dumps({**PROFILE, "k\x1b[31m": 1}))
    done = invoke("profiles", "validate", "stranger.yaml")
    assert done.exit_code == 2
    assert r"k\x1b[31m: unknown key" in done.stderr


def test_the_pages_are_clean(stranger: Path, invoke) -> None:
    stranger.write_text(json.dumps({**PROFILE, "meta": {**PROFILE["meta"], "summary": "<b>\u202e"}}))
    sizes = ["--set", "network.hidden=4", "--set", "training.batch=2", "--set", "task.test_size=4", "--updates", "1"]
    made = invoke("train", "--task", "copy", "--profile", "stranger.yaml", *sizes, "--json")
    assert made.exit_code == 0, made.stderr
    page = (Path(json.loads(made.stdout)["results"][0]["run"]) / "report.html").read_text()
    assert clean(page)
    assert r"\u202e" in page
    assert invoke("characterize", "stranger.yaml", "--only", "drift", "--devices", "100", "-o", "c.html").exit_code == 0
    page = Path("c.html").read_text()
    assert clean(page)
    assert r"&lt;b&gt;\u202e" in page


def test_a_figure_s_text_is_clean() -> None:
    import base64
    from xml.etree import ElementTree

    from neuroanp.reporting.pictures import to_uri
    from neuroanp.reporting.style import new_figure

    figure = new_figure(3, 2)
    figure.add_subplot().set_title("a\x1b[31m\u202e")
    svg = base64.b64decode(to_uri(figure).partition(",")[2]).decode()
    assert clean(svg)
    ElementTree.fromstring(svg)


def test_a_library_s_warning_is_clean(capsys) -> None:
    """It may quote what a file holds: matplotlib names each letter that its font does not have."""
    import warnings

    from neuroanp.cli.boundary import guarded

    before = warnings.showwarning
    try:
        guarded(lambda: warnings.warn("no glyph \x1b[2J \u202e", stacklevel=1))()
    finally:
        warnings.showwarning = before
    shown = capsys.readouterr().err
    assert r"UserWarning: no glyph \x1b[2J \u202e" in shown
    assert clean(shown)


def test_labels_of_figures_are_clean() -> None:
    from neuroanp.reporting.style import plain

    assert clean(plain(ACTS))
    assert r"\x1b" in plain(ACTS)
