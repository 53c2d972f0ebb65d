"""What docstrings say: for the keys of profiles, and for mkdocstrings, which reads a stricter form of them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

_ARGUMENT = re.compile(r"(?:(?<=^)|(?<=\. ))((?:\*{0,2}\w+)(?:, \*{0,2}\w+)*): ")


def arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each argument.

    >>> arguments("Do.\\n\\nArgs: a, b: one. c: another.\\n")
    {'a': 'one.', 'b': 'one.', 'c': 'another.'}
    """
    found = re.search(r"^Args:(.*?)(?=^\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    if found is None:
        return {}
    lines = list[str]()
    for line in found[1].split("\n"):
        if line.strip() and (not lines or re.match(r" {4}\S", line)):
            lines.append(line.strip())
        elif line.strip():
            lines[-1] += f" {line.strip()}"
        elif lines:
            break
    said = dict[str, str]()
    for line in lines:
        parts = _ARGUMENT.split(line)
        for names, text in zip(parts[1::2], parts[2::2], strict=True):
            said |= dict.fromkeys(names.replace("*", "").split(", "), text.strip())
    return said


def before_arguments(docstring: str) -> str:
    """Return what a docstring says before its arguments and examples, its equations as code.

    >>> before_arguments("Do.\\n\\n    y = x\\n\\nArgs: x: volts.")
    'Do.\\n\\n    y = x'
    """
    parts = re.split(r"^(?:Args|Attributes|Returns|Raises|Source|>>>).*", docstring, maxsplit=1, flags=re.MULTILINE)
    return parts[0].strip()


def read_strictly(docstring: str) -> str:
    """Return a docstring in the form that Griffe's parser takes: arguments a line each, examples as code.

    >>> read_strictly("Do.\\n\\nArgs: a, b: one.\\n\\n>>> 1\\n1\\n").splitlines()[2:]
    ['Args:', '    a: one.', '    b: one.', '', '```pycon', '>>> 1', '1', '```']
    """
    said = arguments(docstring)
    if said:
        block = "Args:\n" + "".join(f"    {name}: {text}\n" for name, text in said.items())
        docstring = re.sub(r"^Args:.*?(?=^\S|\Z)", lambda _: block + "\n", docstring, count=1, flags=re.M | re.S)
    for word in ("Returns", "Raises", "Yields"):
        docstring = re.sub(rf"^{word}: +(\S.*)$", rf"{word}:\n    \1", docstring, flags=re.MULTILINE)
    blocks = re.split(r"\n{2,}", docstring.strip())
    return "\n\n".join(f"```pycon\n{block}\n```" if block.startswith(">>>") else block for block in blocks)


class Strictly(griffe.Extension):
    """Hand mkdocstrings the docstrings in the form that its parser takes."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = read_strictly(inspect.cleandoc(obj.docstring.value))
