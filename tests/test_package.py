"""What the package says of itself in several places is the same everywhere."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import neuroanp
from neuroanp import api
from neuroanp.version import RELEASED, __version__
from neuroanp.yaml_io import parse

ROOT = Path(__file__).parents[1]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_is_of_this_version_and_names_the_rule_s_paper() -> None:
    """Its form was checked by cffconvert --validate; here is what changes with a version."""
    cited = parse((ROOT / "CITATION.cff").read_text("utf-8"), "CITATION.cff").data
    assert {"cff-version", "message", "title", "authors", "type"} <= set(cited)
    assert (cited["cff-version"], cited["title"]) == ("1.2.0", project()["name"])
    assert (str(cited["version"]), str(cited["date-released"])) == (__version__, RELEASED)
    assert date.fromisoformat(RELEASED) <= date.today()
    assert cited["license"] == project()["license"]
    assert cited["keywords"] == project()["keywords"]
    assert f"## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert cited["references"][0]["doi"] in (ROOT / "README.md").read_text("utf-8")


def test_public_names_are_those_that_the_page_promises() -> None:
    """A name that comes or goes is a decision: it is made in docs/deprecation.md, too."""
    page = (ROOT / "docs" / "deprecation.md").read_text("utf-8")
    promised = page[page.index("`neuroanp.__all__`") :].partition("\n- ")[0]
    assert re.findall(r"`(\w+)`", promised) == neuroanp.__all__
    assert set(neuroanp.__all__) - {"__version__"} <= set(api.__all__)
    assert all(name in dir(neuroanp) for name in neuroanp.__all__)


def test_type_checkers_of_others_may_believe_the_annotations() -> None:
    assert (ROOT / "neuroanp" / "py.typed").is_file()
    strict = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]["strict"]
    assert {"neuroanp/__init__.py", "neuroanp/api"} <= set(strict)


def test_each_python_that_is_promised_has_its_pins() -> None:
    promised = [line.rpartition(" ")[2] for line in project()["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert promised[0] == project()["requires-python"].removeprefix(">=")
    for version in promised:
        name = "constraints.txt" if version == promised[0] else f"constraints-{version}.txt"
        assert (ROOT / name).is_file(), name
