"""Where the folders lie that come with neuroanp beside its code: profiles and examples."""

from __future__ import annotations

from pathlib import Path, PurePath

_PACKAGE = Path(__file__).resolve().parent
EXAMPLES = "examples"


def shipped(folder: str) -> Path:
    """Return a folder that comes with neuroanp: inside an installed wheel, beside the package in a checkout.

    >>> sorted(path.name for path in shipped("examples").glob("copy*.yaml"))
    ['copy3.yaml', 'copy5.yaml']
    """
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def how_to_get(path: str | PurePath) -> str:
    """Say how to get a file that is missing where neuroanp brings one of that name: "; ...", or the empty string.

    Pages and messages call the examples by the path that they have in a checkout.

    >>> how_to_get("examples/copy3.yaml")
    '; it comes with neuroanp, and `neuroanp examples --copy examples` puts it there'
    >>> how_to_get("examples/mine.yaml"), how_to_get("mine.yaml"), how_to_get("examples/../setup.py")
    ('', '', '')
    """
    parts = PurePath(path).parts
    if len(parts) < 2 or parts[0] != EXAMPLES or ".." in parts or "\0" in str(path):
        return ""
    if not shipped(EXAMPLES).joinpath(*parts[1:]).is_file():
        return ""
    return f"; it comes with neuroanp, and `neuroanp examples --copy {EXAMPLES}` puts it there"
