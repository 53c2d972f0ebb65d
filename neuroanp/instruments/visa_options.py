"""Options of the VISA driver, and its commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, field_validator

from neuroanp.errors import did_you_mean
from neuroanp.units import PositiveTime
from neuroanp.yaml_io import Section

VISA = "visa"
"""What `hardware.substrate` calls the driver that has these options."""
COMMANDS = {
    "size": "ARR:SIZE?",
    "limits": "ARR:LIM {voltage:.6g},{write_voltage:.6g},{current:.6g},{up:.6g},{down:.6g},{width:.6g},{pulses}",
    "read": "ARR:READ? {rows},",
    "write": "ARR:PULS ",
    "cost": "ARR:COST?",
}
"""What each of them is called unless `options.commands` says otherwise."""
PLAYED = "played:"
"""What `options.library` begins with where an instrument is played; the name or the file of a profile follows."""


class VisaOptions(Section):
    """Options of the driver, `hardware.options`."""

    library: str = Field(
        default="",
        description="VISA library: a path, '@py', ...; empty: the system's; 'played:PROFILE': no instrument but one "
        "that PyVISA-sim plays, its devices those of a profile",
    )
    timeout: PositiveTime = Field(default=10.0, description="how long an answer may take")
    commands: dict[str, str] = Field(default_factory=dict, description="other words for the commands, by name")
    seed: int = Field(default=0, ge=0, description="of an instrument that is played: its devices and its noise")
    lines: int = Field(default=128, ge=1, le=1024, description="of an instrument that is played: its word lines")
    bits: int = Field(default=128, ge=1, le=1024, description="of an instrument that is played: its bit lines")
    state: str | None = Field(
        default=None, description="of an instrument that is played: the file (.npz) that keeps its devices between runs"
    )
    cut_rate: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="of an instrument that is played: the share of messages that cut its link",
    )

    @field_validator("commands")
    @classmethod
    def _known(cls, commands: dict[str, str]) -> dict[str, str]:
        for name, text in commands.items():
            if name not in COMMANDS:
                near = did_you_mean(name, [*COMMANDS])
                raise ValueError(f"'{name}' is not a command{near} (known: {', '.join(COMMANDS)})")
            try:
                text.format(rows=1, voltage=1.0, write_voltage=1.0, current=1.0, up=1.0, down=1.0, width=1.0, pulses=1)
            except (KeyError, ValueError, IndexError) as error:
                known = "rows; voltage, write_voltage, current, up, down, width, pulses"
                raise ValueError(f"'{name}': {error} in braces is not known (known: {known})") from None
            if "\n" in text or "\r" in text:
                raise ValueError(f"'{name}' is more than one line; write one command")
        return commands


def with_paths(options: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """Return options whose paths are changed: a played profile's, a library's, that of `state`.

    Args: change: takes an option's name and its path. Names of the system's libraries and of profiles are no paths.

    >>> with_paths({"library": "played:my/ecram.yaml", "state": "s.npz"}, lambda key, path: f"/home/{path}")
    {'library': 'played:/home/my/ecram.yaml', 'state': '/home/s.npz'}
    >>> with_paths({"library": "played:ecram"}, lambda key, path: f"/home/{path}")
    {'library': 'played:ecram'}
    """
    changed, library, state = dict(options), options.get("library"), options.get("state")
    if isinstance(library, str):
        mark = PLAYED if library.startswith(PLAYED) else ""
        path = library.removeprefix(mark)
        if "/" in path or "\\" in path or (mark and path.endswith((".yaml", ".yml"))):
            changed["library"] = mark + change("library", path)
    if isinstance(state, str):
        changed["state"] = change("state", state)
    return changed
