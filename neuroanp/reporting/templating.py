"""The templates of the pages."""

from __future__ import annotations

from typing import Any

from neuroanp.reporting.values import shown_as


def template(name: str) -> Any:
    """Return a page's template by its file's name: what is put in is escaped, and what is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("neuroanp.reporting", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=shown_as,
    )  # fmt: skip
    return environment.get_template(name)
