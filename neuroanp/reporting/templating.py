"""The templates of the pages."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from neuroanp.reporting.footnotes import meaning
from neuroanp.reporting.values import shown_as, value_of


@cache
def template(name: str) -> Any:
    """Return a page's template by its file's name: what is put in is escaped, and what is missing is an error.

    Pages have one script, of ours (templates/page.js), which their policy names by its hash: no other is run.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("neuroanp.reporting", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=shown_as,
    )  # fmt: skip
    environment.filters |= {"number": value_of, "marks": meaning}
    script = loader.get_source(environment, "page.js")[0]
    environment.globals |= {"script": Markup(script), "script_hash": hash_of(script)}
    return environment.get_template(name)


def hash_of(script: str) -> str:
    """Return a script's hash as a policy names it.

    >>> hash_of("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
