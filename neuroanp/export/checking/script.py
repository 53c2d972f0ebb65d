"""Make the script of a format: one file of what the format adds and of the part that all have."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from neuroanp.export.checking import compare

SCRIPT = "check.py"
HERE = Path(__file__).parent
"""Where the parts that formats add lie."""
USAGE = """
python check.py [READER] [--json]

presents the stimulus that lies here in every reader that is installed (or in the one named), compares what it gives
with what is expected, prints one line, PASS or FAIL with the figures, and exits with 0 or 1; 3: there is no reader.
On inputs of your own, by name as `presented` returns them, in Python: check.READERS["READER"][-1](inputs)
"""


@cache
def script(reader: Path) -> str:
    """Return the text of the script.

    Args:
        reader: a Python file that defines READERS, by name (modules and programs it needs, how to get it, a function
            that takes the stimulus by name and returns what the reader gives by name), and, where stimulus and expected
            output lie in files of the format's own, OWN, the two functions that return them by name.

    >>> text = script(Path(compare.__file__).with_name("onnx.py"))
    >>> "neuroanp" in text, text.count("import numpy as np"), text.splitlines()[-1]
    (False, 1, '    sys.exit(main(READERS, sys.argv[1:]))')
    """
    about, imports, own, names = _parts(reader)
    _, more, common, _ = _parts(Path(compare.__file__))
    lines = sorted({*imports, *more}, key=lambda line: ("numpy" in line, line))
    standard = "\n".join(line for line in lines if "numpy" not in line)
    call = f"main(READERS, sys.argv[1:]{', *OWN' * ('OWN' in names)})"
    return (
        f'"""{about}\n{USAGE}"""\n\n{standard}\n\nimport numpy as np\n\n\n{common}\n\n\n{own}\n\n\n'
        f'if __name__ == "__main__":\n    sys.exit({call})\n'
    )


def _parts(path: Path) -> tuple[str, list[str], str, set[str]]:
    """Return of a module its docstring, its lines that import, all below them, and the names it sets."""
    text = path.read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)}  # fmt: skip
    below = "\n".join(lines[imports[-1].end_lineno or 0 :]).strip()
    return ast.get_docstring(tree) or "", [lines[node.lineno - 1] for node in imports], below, names
