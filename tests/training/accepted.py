"""Draw configurations from what is registered and from the models' fields: a new task or option is drawn unasked."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as bounds
import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.effects import EFFECTS
from neuroanp.profiles import available
from neuroanp.training.config import RunConfig
from neuroanp.training.targets import TARGETS
from neuroanp.units import Dimension, Plain
from neuroanp.yaml_io import Chosen

ROOT = Path(__file__).resolve().parents[2]
ADEX = yaml.safe_load((ROOT / "examples" / "adex.yaml").read_text())

WORDS = st.sampled_from(
    ["no", "on", "1e3", "null", "~", "true", "0x1F", ".5", "-", "a: b", "#x", "'", '"', "é µ Ω", "😀", " x ", "a\nb",
     "\x85", "\u2028", "\ufeff", "\t", "=", "<<", "*a", "&a", "!t", "%d", "{}", "[1]", "1:30", "2024-01-01", "\x07"]
)  # fmt: skip
"""Texts that YAML might take for something else."""
TEXT = WORDS | st.text(min_size=1, max_size=12)
TIMES = st.sampled_from(["1 h", "60 min", "1h", "1e3s", "30  d", "0.1 s", "3600 s", "1e-9 s"])
IMPORTED = ("runs/one.safetensors", "no", "1e3", "x y.safetensors", "../über.safetensors")
TABLES = ("ts.csv", "1e3", "über dir/no.csv", "a'b.csv", "../x.csv")
HINTS: Mapping[tuple[str, str], st.SearchStrategy[Any]] = {
    ("RunConfig", "profile"): st.sampled_from([*available(), "mine.yaml", "./1e3.yml", "über/no.yaml", "../x.yaml"]),
    ("RunConfig", "backend"): st.sampled_from(BACKENDS.names()),
    ("RunConfig", "target"): st.sampled_from([*TARGETS]),
    ("Network", "weights"): st.sampled_from(IMPORTED),
    ("Hardware", "only"): st.lists(st.sampled_from(EFFECTS), max_size=3),
    ("Hardware", "without"): st.lists(st.sampled_from(EFFECTS), max_size=3),
    ("TrainingConfig", "evaluate_after"): st.lists(TIMES, max_size=3),
    ("Compute", "device"): st.sampled_from(["cpu", "cuda", "cuda:1"]),
}
"""Fields whose type says less than what they take."""

BASES: tuple[Mapping[str, Any], ...] = (
    {},
    {"task": {"name": "weather", "path": "ts.csv", "target": "load"}},
    {"task": {"name": "weather", "path": "a.csv", "target": "1e3", "columns": ["no", "1e3"], "time": "t", "fill": 3}},
    {"task": {"name": "table", "path": "a.csv", "target": ["no", "1e3"], "scale": "standard", "horizon": 0}},
    {"task": {"name": "table", "path": "ts.csv", "target": "x", "rows": "apart", "labels": True, "split_seed": 2}},
    {"network": {"weights": "runs/one"}, "training": {"updates": 0}},
    {key: ADEX[key] for key in ("backend", "neuron")},
    *({"target": name} for name in TARGETS),
    *({"rule": {"preset": "paper"}, "backend": name} for name in BACKENDS.names()),
    {"rule": {"name": "np", "preset": "spiking", "gamma": 0.5}, "backend": "lif"},
)
"""Where draws begin: combinations that single draws would seldom meet."""


@st.composite
def sources(draw: st.DrawFn) -> dict[str, Any]:
    """A source of a run, which may well be refused: a base and a few edits anywhere."""
    source = {
        key: dict(part) if isinstance(part, Mapping) else part for key, part in draw(st.sampled_from(BASES)).items()
    }
    if "task" not in source or draw(st.booleans()):
        source.setdefault("task", draw(field_of(RunConfig, "task")))
    for name in draw(st.lists(st.sampled_from([*RunConfig.model_fields]), max_size=4, unique=True)):
        drawn = draw(field_of(RunConfig, name))
        there = source.get(name)
        if isinstance(there, Mapping) and isinstance(drawn, Mapping):
            alike = there.get("name", drawn.get("name")) == drawn.get("name")
            source[name] = {**drawn, **there} if alike else there
        elif name not in source:
            source[name] = drawn
    return source


def field_of(model: type[BaseModel], name: str) -> st.SearchStrategy[Any]:
    """What a field takes, by hint or by type."""
    field = model.model_fields[name]
    hint = HINTS.get((model.__name__, name))
    return hint if hint is not None else of(field.annotation, field.metadata)


def section(model: type[BaseModel], most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """A section with its required keys and some of the others."""
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    others = [name for name in model.model_fields if name not in required and name != "name"]
    chosen = st.lists(st.sampled_from(others), max_size=most, unique=True) if others else st.just([])
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: field_of(model, name) for name in (*required, *names)})
    )


def choice(chosen: Chosen) -> st.SearchStrategy[Any]:
    """A section that picks its model by name; or the bare name."""

    def named(name: str) -> st.SearchStrategy[Any]:
        model = chosen.model(chosen.choices.get(name))
        return section(model).map(lambda keys: {chosen.key: name, **keys})

    names = st.sampled_from(chosen.choices.names())
    return names | names.flatmap(named)


def of(annotation: Any, metadata: Any = ()) -> st.SearchStrategy[Any]:
    """Values for a type with its marks: inside the bounds most of the time."""
    for mark in metadata:
        if isinstance(mark, Chosen):
            return choice(mark)
        if isinstance(mark, Dimension):
            return quantity(mark)
        if isinstance(mark, Plain):
            return st.floats(max(mark.low, -1e6), min(mark.high, 1e6), exclude_min=mark.open_low)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return of(parts[0], (*parts[1:], *metadata))
    if origin in (Union, types.UnionType):
        return st.one_of([st.none() if part is type(None) else of(part, metadata) for part in parts])
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (list, tuple):
        return st.lists(of(parts[0]), min_size=_least(metadata), max_size=3)
    if origin is dict:
        return st.dictionaries(st.text(min_size=1, max_size=8), of(parts[1]), max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return section(annotation)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low, high = _range(metadata, -(2**31), 2**63 - 1)
        return st.integers(low, min(high, low + 50)) | st.integers(low, high)
    if annotation is float:
        low, high = _range(metadata, -1e300, 1e300)
        return st.floats(low, high) | st.sampled_from([0.1 + 0.2, 5e-324, 1e-5, 1.0]).filter(lambda x: low <= x <= high)
    if annotation is Any:  # what a driver of one's own takes
        return st.none() | st.booleans() | st.integers(-9, 9) | TEXT
    if annotation in (str, Path):
        return st.sampled_from(TABLES) if annotation is Path else TEXT
    raise NotImplementedError(f"{annotation}: say here what such a field takes")


def quantity(dimension: Dimension) -> st.SearchStrategy[str]:
    """A quantity as a user writes it."""
    prefixes = ["", "k"] if dimension.unit == "B" else ["n", "u", "m", ""]
    numbers = st.floats(1e-3, 1e3).map(repr) | st.sampled_from(["1", "20", "333.3333333333333", "0.1e1", "1e-12"])
    return st.builds(lambda number, prefix: f"{number} {prefix}{dimension.unit}", numbers, st.sampled_from(prefixes))


def _least(metadata: Any) -> int:
    return max((mark.min_length for mark in metadata if isinstance(mark, bounds.MinLen)), default=0)


def _range(metadata: Any, low: Any, high: Any) -> tuple[Any, Any]:
    for mark in metadata:
        if isinstance(mark, bounds.Ge):
            low = mark.ge
        elif isinstance(mark, bounds.Gt):
            low = mark.gt
        elif isinstance(mark, bounds.Le):
            high = mark.le
        elif isinstance(mark, bounds.Lt):
            high = mark.lt if isinstance(mark.lt, float) else mark.lt - 1
    return low, high
