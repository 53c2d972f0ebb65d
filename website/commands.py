"""The commands, as they say themselves what they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup


def pages() -> str:
    """Return all commands in Markdown, those of groups after one another."""
    from neuroanp.cli.commands import app

    return "\n".join(_told(typer.main.get_command(app), "neuroanp"))


def _told(command: Any, name: str) -> Iterator[str]:
    for word, each in sorted(command.commands.items()):
        if each.hidden:
            continue
        full = f"{name} {word}"
        group = isinstance(each, TyperGroup)
        yield f"## {full}\n" if name == "neuroanp" else f"### {full}\n"
        yield f"{_text(each.help)}\n"
        if group:
            yield from _told(each, full)
            continue
        words = [param for param in each.params if param.param_type_name == "argument"]
        usage = " ".join(_usage(param) for param in words)
        yield f"```text\n{full} {usage + ' ' if usage else ''}[OPTIONS]\n```\n"
        yield from _table("argument", words)
        yield from _table("option", [param for param in each.params if param not in words])
        yield from _examples(each.epilog or "")


def _usage(param: Any) -> str:
    name = _metavar(param) + ("..." if param.nargs == -1 and not _metavar(param).endswith("...") else "")
    return name if param.required else f"[{name}]"


def _metavar(param: Any) -> str:
    return param.metavar or param.name.upper()


def _table(kind: str, params: list[Any]) -> Iterator[str]:
    rows = [(_name(param), _text(param.help or "")) for param in params if param.name != "help"]
    if rows:
        yield f"| {kind} | what it is |\n|---|---|"
        yield from (f"| {name} | {_cell(said)} |" for name, said in rows)
        yield ""


def _name(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{_cell(_metavar(param))}`"
    flag = param.is_flag or param.count
    value = "" if flag else param.metavar or param.name.upper()
    return ", ".join(f"`{word}{value and ' ' + _cell(value)}`" for word in (*param.opts, *param.secondary_opts))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(said: str) -> str:
    """Return what a command says without the marks of rich, which are for terminals."""
    return re.sub(r"\\?\[/?(?:bold|dim|italic)?\]", "", said or "").replace("<", "&lt;").strip()


def _examples(epilog: str) -> Iterator[str]:
    lines = [line for line in epilog.split("\n\n") if line.startswith("neuroanp ")]
    if lines:
        yield "```sh\n" + "\n".join(lines) + "\n```\n"
