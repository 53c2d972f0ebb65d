"""The list of public objects has what people are told to use; the check finds each thing that a docstring lacks."""

from __future__ import annotations

import ast
import re

import pytest

import neuroanp
import neuroanp.tasks
from tests.lint.docstrings import lacks, main
from tests.lint.surface import Public, mentioned, surface


def public(code: str, kind: str = "function") -> Public:
    """Return the one definition of a source text as a public object, or of a class its first method."""
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    if kind not in ("method", "property"):
        return Public("neuroanp.room.it", kind, node)
    assert isinstance(node, ast.ClassDef)
    member = next(one for one in node.body if isinstance(one, ast.FunctionDef))
    return Public("neuroanp.room.It.it", kind, member, node)


WHOLE = '''
def scaled(x: Tensor, by: float) -> Tensor:
    """Multiply the values of x.

    Args:
        x: (T, B), any numbers. by: factor.

    Returns: (T, B).

    Raises:
        InputError: by is 0.

    >>> 1
    1
    """
    if not by:
        raise InputError("by: 0")
    return by * x
'''


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", []),
        ("Multiply", "The product of", ["a first line that says what it does"]),
        ("of x.\n\n", "of x\n\n", ["a first line that says what it does"]),
        ("x: (T, B), any numbers. by", "by", ["shape of x"]),  # the first line names it
        (" by: factor.", "", ["argument by"]),
        ("(T, B), any numbers", "values", ["shape of x"]),
        ("by: factor", "by: what it is", ["unit of by"]),
        ("Returns: (T, B).", "It is new.", ["what it returns"]),
        ("InputError: by", "Error: by", ["InputError"]),
        (">>> 1\n    1", "Like so.", ["an example"]),
    ],
)
def test_each_part_that_is_taken_away_is_missed(old: str, new: str, said: list[str]) -> None:
    code = WHOLE.replace(old, new, 1) if old else WHOLE
    assert list(lacks(public(code))) == said


MEMBER = '''
class Box:
    """What holds a number.

    >>> Box().USED
    1
    """

    def size(self) -> int:
        """Return how much is in it."""
        return 1
'''


def test_a_method_has_the_example_of_its_class_only_where_that_uses_it() -> None:
    assert list(lacks(public(MEMBER.replace("USED", "size()"), "method"))) == []
    assert list(lacks(public(MEMBER.replace("USED", "sizes()"), "method"))) == ["an example"]


def test_fields_are_arguments_unless_they_say_themselves_what_they_are() -> None:
    code = '''
class Bench(Section):
    """What measures.

    >>> 1
    1
    """

    name: Literal["bench"] = "bench"
    volts: float
    amperes: float = Field(description="of a line")
    ohms: float
    """Of a line."""
'''
    assert list(lacks(public(code, "class"))) == ["argument volts"]


def test_a_page_names_what_it_imports_and_what_it_writes_beside_its_module(tmp_path) -> None:
    text = "Derive from `RateCell` (`neuroanp/network/cell.py`), or see `neuroanp.losses.mean.mean_loss` and `Nothing`."
    assert set(mentioned(text)) == {("neuroanp.network.cell", "RateCell"), ("neuroanp.losses.mean", "mean_loss")}


def test_help_has_every_word_and_dir_has_nothing_else() -> None:
    """Rooms of the package that are loaded are not listed: `neuroanp.tasks` is, here."""
    words = {*neuroanp.__all__} - {"__version__"}
    assert words <= {*re.findall(r"\w+", neuroanp.__doc__ or "")}
    assert "tasks" in vars(neuroanp)
    assert {name for name in dir(neuroanp) if not name.startswith("__")} == words | {"api"}


@pytest.fixture(scope="module")
def found() -> dict[str, Public]:
    return surface()


@pytest.mark.parametrize(
    "name",
    [
        "api.run.train", "api.run.export", "api.compared.Comparison.to_dataframe",  # words, and what they return
        "training.forward.RunWeights.complete",  # what a method of such a thing returns
        "network.cell.RateCell.start", "devices.protocol.DriftLaw.draw", "export.protocol.Exporter.check",
        "instruments.protocol.Instrument.read", "losses.protocol.Loss.of", "learning.protocol.LearningRule.assign",
        "tasks.protocol.Task.score", "tasks.options.TaskOptions", "learning.credit.differences", "profiles.loader.load",
        "baselines.protocol.Sequences.mask", "substrates.protocol.Substrate.apply", "source.World.step",
    ],
)  # fmt: skip
def test_what_people_are_told_to_use_is_public(found, name: str) -> None:
    assert f"neuroanp.{name}" in found


def test_every_public_object_is_complete(found, monkeypatch, capsys) -> None:
    monkeypatch.setattr("tests.lint.docstrings.surface", lambda: found)
    assert main() == 0
    assert f"public: {len(found)} (" in capsys.readouterr().out
