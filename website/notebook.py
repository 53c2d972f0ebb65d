"""Notebooks as pages: cells of a notebook with what they printed and drew, or those of a script in percent format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any


def of_notebook(text: str) -> str:
    """Return a notebook (.ipynb) in Markdown.

    >>> cell = {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"]}}]}
    >>> of_notebook(json.dumps({"cells": [cell]})).split()
    ['```python', '1', '+', '1', '```', '```text', '2', '```']
    """
    return "\n".join(line for cell in json.loads(text)["cells"] for line in _cell(cell))


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] != "code":
        yield f"{source}\n"
        return
    yield f"```python\n{source}\n```\n"
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/png" in data:
            yield f"![what the cell above draws](data:image/png;base64,{''.join(data['image/png'].split())})\n"
        elif "".join(data.get("text/plain", "")).strip():
            yield f"```text\n{''.join(data['text/plain']).rstrip()}\n```\n"


def of_script(text: str) -> str:
    """Return a script in percent format in Markdown.

    >>> of_script("# %% [markdown]\\n# # Title\\n# words\\n\\n# %%\\nx = 1\\n").splitlines()
    ['# Title', 'words', '', '```python', 'x = 1', '```']
    """
    parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    lines = list[str]()
    for kind, body in zip(parts[1::2], parts[2::2], strict=True):
        if "[markdown]" in kind:
            lines.append(re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE) + "\n")
        elif body.strip():
            lines.append(f"```python\n{body.strip()}\n```\n")
    return "\n".join(lines)
