"""The shipped configs are valid, the versions are pinned, and the README's commands exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_a_valid_config(invoke, path: Path) -> None:
    done = invoke("train", str(path), "--dry-run")
    assert done.exit_code == 0, done.stderr


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) for version in pins.values())
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for of in project["optional-dependencies"].values() for line in of)]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in wanted}  # pyright: ignore[reportOptionalSubscript]
    assert names - {"neuroanp"} <= pinned


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_of_the_pages_exist(invoke, page: str) -> None:
    text = (ROOT / page).read_text()
    commands = {line.strip() for line in re.findall(r"^ {4}(?:\.venv/bin/)?(neuroanp [^#\n]+)", text, re.MULTILINE)}
    assert commands
    for command in commands:
        words = [word for word in shlex.split(command)[1:3] if re.fullmatch(r"[a-z]+", word)]
        while words and invoke(*words, "--help").exit_code == 2:
            words.pop()
        assert words, command


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text())
    assert not [link for link in links if not (ROOT / link).exists()]
