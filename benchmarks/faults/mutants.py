"""Mutated configurations and profiles: each is refused by an InputError, or is valid and comes back from its own dump.

Every example and every shipped profile is mutated, in its text and in its structure, by one to four changes drawn from
the seed; each mutant is read in a child of its own, which is watched.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.faults.common import load_all
from benchmarks.faults.families import ESCAPES
from benchmarks.faults.outcome import Budget, Outcome
from benchmarks.faults.trees import ROOT
from benchmarks.faults.watched import MOST_BYTES, MOST_S, raw_controls, watched

USUAL = 2000
JUNK: list[Any] = [
    None, True, False, "", " ", 0, -1, 1, 1.5, 1e300, -1e300, 1e-300, 10**400, float("nan"), float("inf"), "nan",
    "1e999 S",
    "5 bananas", "1 uS uS", "25", "25 %", "µS", "9" * 400, "x" * 5000, "日本", ESCAPES, "../../etc/passwd",
    "/dev/zero",
    ".", "\0", "a: b", "*x", "!!python/object:os.system", "<<", "~", "0x10", "1_000", "\u0661", [], {}, [[]], [None],
    {"value": None},
    {"name": "copy"}, {"name": None}, {"law": "pcm"}, ["a", "b"], 2**63, "1 ms", "1 V", "1e-400 s", [1, 2, 3], {"": 1},
    {1: 2}, -0.0,
]  # fmt: skip
UNITS = ["", " V", " ms", " S", " uS", " kS", " J", " %", " degC", " K", " Hz", " us"]


def sources() -> list[Path]:
    """Return the examples and the shipped profiles."""
    return sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "hardware_profiles").glob("*.yaml")])


def mutate_text(text: str, rng: random.Random) -> str:
    """Change bytes and lines of a text."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    kind = rng.randrange(7)
    if kind == 0:
        lines.pop(at)
    elif kind == 1:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif kind == 2:
        lines[at] = "  " * rng.randrange(4) + lines[at].lstrip()
    elif kind == 3:
        place = rng.randrange(len(lines[at]) + 1)
        lines[at] = (
            lines[at][:place]
            + rng.choice(["\t", "{", "]", ": ", "- ", "*a ", "&a ", "#", "'", '"', "\0", "%", "é", ","])
            + lines[at][place:]
        )
    elif kind == 4:
        place = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + lines[at][place + rng.randrange(1, 4) :]
    elif kind == 5:
        lines = lines[:at]
    else:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def mutate_data(data: Any, rng: random.Random) -> None:
    """Change one value of nested mappings and lists: another value, unit, type, name or place."""
    ways = _ways(data)
    if not ways:
        return
    *above, last = rng.choice(ways)
    section = data
    for key in above:
        section = section[key]
    kind, value = rng.randrange(9), section[last]
    if kind == 0:
        del section[last]
    elif kind == 1 and isinstance(value, int | float) and not isinstance(value, bool):
        section[last] = value * rng.choice([-1, 0, 0.5, 2, 1e-9, 1e9, 1e30, 1e300])
    elif kind == 2 and isinstance(value, str):
        section[last] = value.partition(" ")[0] + rng.choice(UNITS)
    elif kind == 3:
        section[last] = rng.choice([{"value": value}, [value], [value] * 3, {last: value}, str(value)])
    elif kind == 4 and isinstance(section, dict):
        section[
            rng.choice([str(last) + "x", str(last)[:-1], str(last).upper(), rng.choice(["name", "law", "value"])])
        ] = section.pop(last)
    elif kind == 5 and isinstance(section, dict):
        section[rng.choice(["status", "extends", "name", "law", "lr", "K", "x", "yes", ""])] = deepcopy(
            rng.choice(JUNK)
        )
    elif kind == 6:
        *_, other = rng.choice(ways)
        found = data.get(other) if isinstance(other, str) else None
        section[last] = deepcopy(found)
    else:
        section[last] = deepcopy(rng.choice(JUNK))


def _ways(part: Any, key: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [key] * bool(key) + [way for name, value in inner for way in _ways(value, (*key, name))]


def mutant(source: Path, rng: random.Random) -> str:
    """Return the text of a mutant of a file."""
    text = source.read_text(encoding="utf-8")
    changes = rng.choice((1, 1, 2, 3, 4))
    if rng.random() < 0.7:
        data = yaml.safe_load(text)
        for _ in range(changes):
            mutate_data(data, rng)
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        changes = int(rng.random() < 0.1)
    for _ in range(changes):
        text = mutate_text(text, rng)
    return text


def read(path: Path) -> None:
    """Read a mutant as the commands do, and write it out and read it again; print what became of it."""
    from neuroanp.errors import InputError

    try:
        said = _profile(path) if path.name.startswith("profile") else _config(path)
    except InputError as error:
        print(f"refused: {error}")
        return
    print(said)


def _profile(path: Path) -> str:
    from neuroanp.profiles import load, loads

    profile = load(str(path))
    again = loads(profile.text, "again.yaml")
    return "valid" if (again.hash, again.text) == (profile.hash, profile.text) else "comes back as another"


def _config(path: Path) -> str:
    from neuroanp.training.configure import configure
    from neuroanp.yaml_io import parse

    config = configure(path)
    again = configure(parse(config.to_yaml(), "again.yaml").data)
    return "valid" if again == config and again.to_yaml() == config.to_yaml() else "comes back as another"


def trials(budget: Budget) -> list[Outcome]:
    """Read mutants."""
    outcome, came, slowest, largest = (
        Outcome("mutated configurations and profiles", budget.count(USUAL)),
        Counter[str](),
        0.0,
        0,
    )
    load_all()
    with TemporaryDirectory() as place:
        home, files = Path(place), sources()
        for trial in range(outcome.asked):
            rng, source = random.Random(f"{budget.seed} {trial}"), files[trial % len(files)]
            kind = "profile" if source.parent.name == "hardware_profiles" else "config"
            path = home / f"{kind}-{source.name}"
            path.write_bytes(mutant(source, rng).encode("utf-8", "surrogatepass"))
            seen = watched(_reading(path), home / "log")
            slowest, largest = max(slowest, seen.cpu_s), max(largest, seen.peak)
            became = seen.text.partition(":")[0].strip()[:40]
            came[became if became in ("valid", "refused") else "wrong"] += 1
            fault = _fault(seen.code, seen.text, became, seen.cpu_s, seen.peak) or _raw(seen.output)
            outcome.add(f"mutant {trial} of {source.name}: {fault}" if fault else None)
            if fault:
                budget.tell(outcome.faults[-1])
    outcome.notes = [
        f"{came['refused']} were refused by an InputError, {came['valid']} are valid and come back from their dump; "
        f"{len(files)} files; at most {slowest:.1f} s of processor time and {largest / 2**20:.0f} MB of memory"
    ]  # fmt: skip
    return [outcome]


def _reading(path: Path) -> Callable[[], object]:
    return lambda: read(path)


def _fault(code: int | None, text: str, became: str, cpu_s: float, peak: int) -> str | None:
    if code is None or cpu_s > MOST_S:
        return f"over {MOST_S:g} s"
    if peak > MOST_BYTES:
        return f"{peak / 2**20:.0f} MB"
    if code != 0 or became not in ("valid", "refused"):
        return f"exit code {code}: {json.dumps(text[-300:])}"
    return None


def _raw(output: bytes) -> str | None:
    found = raw_controls(output)
    return f"raw in a message: {', '.join(found)}" if found else None
