"""The templates of the pages."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

from neuroanp.reporting.footnotes import meaning
from neuroanp.reporting.values import shown_as, value_of

LONG = 14
"""Letters of a word that may be broken."""
BREAKS = re.compile(r"[.+_](?=\w)")


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
    environment.filters |= {"number": value_of, "marks": meaning, "breakable": breakable}
    script = loader.get_source(environment, "page.js")[0]
    environment.globals |= {"script": Markup(script), "script_hash": hash_of(script)}
    return environment.get_template(name)


def breakable(text: str) -> Any:
    """Return a text whose long words may be broken after a dot, a plus or an underscore, not where a cell ends.

    >>> str(breakable("periphery.dac.bits")), str(breakable("read <b>"))
    ('periphery.<wbr>dac.<wbr>bits', 'read &lt;b&gt;')
    """
    from markupsafe import Markup, escape

    words = str(text).split(" ")
    return Markup(" ").join(
        Markup(BREAKS.sub(r"\g<0><wbr>", str(escape(shown_as(word))))) if len(word) >= LONG else shown_as(word)
        for word in words
    )


def hash_of(script: str) -> str:
    """Return a script's hash as a policy names it.

    >>> hash_of("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
