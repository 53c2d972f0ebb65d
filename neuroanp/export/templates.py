"""Files of Verilog that lie beside this module, with @NAMES@ for what differs from network to network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

NUMBER = "-?[0-9]{1,9}"


def filled(name: str, names: Mapping[str, Any]) -> str:
    """Return a file's text with what stands for each of its names."""
    text = _template(name)
    for key, value in names.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def pattern(name: str, may_be: Mapping[str, str]) -> re.Pattern[str]:
    """Return what a file looks like whatever it is filled with: what stands in it twice is the same.

    Args:
        name: of the file. may_be: regular expressions by name; of those that are missing: whole numbers.
    """
    seen, parts = set(), []
    for at, part in enumerate(re.split(r"@([A-Z_]+)@", _template(name))):
        if at % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            parts.append(f"(?P<{part}>{may_be.get(part, NUMBER)})")
            seen.add(part)
    return re.compile("".join(parts), re.ASCII)


@cache
def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
