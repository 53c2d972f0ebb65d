"""Formulas as MathML, which browsers draw by themselves: no script, no font, no request."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def drawn(page: str) -> str:
    """Return a page with the formulas of `pymdownx.arithmatex` (generic) in MathML.

    >>> drawn('<span class="arithmatex">\\\\(x_t\\\\)</span>').count("<msub>")
    1
    """
    return _FORMULA.sub(_drawn, page)


def _drawn(found: re.Match[str]) -> str:
    kind, latex = found[1], html.unescape(found[2])
    formula = convert(latex, display="block" if kind == "div" else "inline")
    return f'<{kind} class="formula">{formula}</{kind}>'
