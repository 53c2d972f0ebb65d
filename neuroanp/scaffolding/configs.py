"""Write a config of one's own: what a run needs, and beside it, commented out, all else that can be said."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError, did_you_mean
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, said, write_text
from neuroanp.scaffolding.packages import Made, check_name
from neuroanp.scaffolding.written import as_written

if TYPE_CHECKING:
    from pydantic import BaseModel

    from neuroanp.training.config import RunConfig

OPEN = {"network": ("hidden",), "training": ("updates", "batch")}
"""Keys that are said, and not commented out, beside the name that picks a section."""
SECTIONS = ("network", "rule", "optimizer", "perturbation", "hardware", "training")
COLUMN, WIDTH = 34, 118
SCHEMA = "neuroanp.schema.json"
"""File beside a config that editors complete it by."""
SERVER = "# yaml-language-server: $schema={}"
"""The line by which an editor (VS Code's YAML extension) finds it."""


def new_config(
    name: str, into: Path = Path(), task: str = "copy", profile: str = "ideal", rule: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Made:  # fmt: skip
    """Write the config `into`/`name`.yaml, which runs as it stands; what it needs besides, a table say, is told.

    Args:
        name: of the file. into: its folder, which is made if it is missing; the schema for editors is written beside
            it. task, profile, rule: what it says; options of these are all in it, at their defaults.
        overrides: values by dotted key, which it says too.

    Raises:
        InputError: a name is none, or there is such a file already.
    """
    from neuroanp.profiles.loader import load
    from neuroanp.scaffolding.schema import schema
    from neuroanp.tasks.protocol import TASKS
    from neuroanp.training.configure import configure
    from neuroanp.training.filling import METHODS
    from neuroanp.yaml_io import parse

    check_name(name)
    for kind, given, known in (("task", task, TASKS.names()), ("rule", rule, METHODS.names())):
        if given is not None and given not in known:
            raise InputError(f"--{kind} {given}: there is none{did_you_mean(given, known)} (known: {', '.join(known)})")
    path = Path(into) / f"{name}.yaml"
    if os.path.lexists(path):
        raise InputError(f"{path}: exists already; choose another name, or another folder with --into")
    load(profile)
    config = configure(None, overrides, task=task, profile=profile, rule=rule)
    text, editors = config_text(config, name, [*(overrides or {})]), path.with_name(SCHEMA)
    if overrides and configure(parse(text, str(path)).data) != config:
        raise InputError(
            f"--set {', '.join(overrides)}: a new config has no place for all of it; write it in afterwards"
        )
    with said(path, OTHER_PLACE, REPEAT):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(editors):
            write_text(editors, json.dumps(schema("config"), ensure_ascii=False) + "\n", OTHER_PLACE, REPEAT)
        write_text(path, text, OTHER_PLACE, REPEAT)
    commands = [f"neuroanp train {quote(str(path))}{words}" for words in (" --dry-run", "")]
    return Made(path, [path, editors], commands, _lacking(config))


def _lacking(config: RunConfig) -> tuple[str, ...]:
    """Say what a task needs besides its name, such as a file of one's own."""
    from neuroanp.tasks.protocol import TASKS

    try:
        TASKS.get(config.task_name)(config.task)
    except InputError as error:
        return error.problems or (error.message,)
    return ()


def config_text(config: RunConfig, name: str, said: Sequence[str] = ()) -> str:
    """Return a config as YAML, every option with its meaning; those that need not be said are commented out.

    Args: config, name: what it says, and what it is called. said: dotted keys that stand open besides.
    """
    fields = type(config).model_fields
    open_ = {key: [parts[1] for parts in map(_parts, said) if len(parts) > 1 and parts[0] == key] for key in fields}
    plain: dict[str, Any] = config.to_plain()
    lines = [
        SERVER.format(SCHEMA),
        f"# {name}: what a run is. Lines that are commented out show defaults; take the # away to change one.",
        f"#   neuroanp train {name}.yaml",
        f"#   neuroanp compare {name}.yaml --profiles ideal,pcm --seeds 3",
        "# Wrong keys, units and values are told with their lines. What there is: neuroanp tasks|rules|profiles list",
        *_section("task", config.task, {"name": config.task_name, **plain["task"]}, ("name", *open_["task"])),
        _line("profile", plain["profile"], fields["profile"].description, "", True),
        _line("backend", plain["backend"], fields["backend"].description, "", True),
    ]
    for key in SECTIONS:
        section = dict(config)[key]
        first = ("name", "preset") if key == "rule" else OPEN.get(key, ())
        lines += _section(key, section, plain.get(key, {}), tuple(dict.fromkeys([*first, *open_[key]])))
    for key in ("seed", "dt"):
        lines.append(_line(key, plain[key], fields[key].description, "", key == "seed" or key in said))
    return "\n".join(lines) + "\n"


def _parts(key: str) -> tuple[str, ...]:
    from neuroanp.yaml_io import key_of

    return tuple(map(str, key_of(key) or (key,)))


def _section(key: str, section: BaseModel, plain: Mapping[str, Any], said: tuple[str, ...]) -> Iterator[str]:
    """Iterate over the lines of a section: what is said, then what could be."""
    fields, told = type(section).model_fields, [name for name in said if name in plain]
    options = {name: field for name, field in fields.items() if name not in told}
    yield f"{key}:" if told else f"# {key}:"
    for name in told:
        meaning = fields[name].description if name in fields else None
        yield _line(name, plain[name], meaning if name != "name" else f"neuroanp {key}s list", "  ", True)
    for name, field in options.items():
        value = plain.get(name, as_written(field, dict(section)[name]))
        yield _line(name, value, field.description, "  ", False, bool(told))


def _line(name: str, value: Any, meaning: str | None, indent: str, open_: bool, inside: bool = True) -> str:
    """Return one line, or several: the option, and beside it what it means."""
    from neuroanp.yaml_io import in_a_line

    text = f"{indent}{'' if open_ else '# '}{name}: {in_a_line(_quoted(value))}"
    if not open_ and not inside:
        text = f"#{indent}{name}: {in_a_line(_quoted(value))}"
    if not meaning:
        return text
    first, *rest = wrap(f"# {meaning}", WIDTH - COLUMN, subsequent_indent="#   ", break_long_words=False)
    if len(text) < COLUMN:
        return "\n".join([text.ljust(COLUMN) + first, *(" " * COLUMN + line for line in rest)])
    return "\n".join([*(indent + line for line in (first, *rest)), text])


def _quoted(value: Any) -> Any:
    """Return a value as YAML has it in a line: texts that YAML would read as something else in quotes."""
    from neuroanp.yaml_io import dump

    if isinstance(value, str):
        return dump(value).removesuffix("\n").removesuffix("\n...")
    return value
