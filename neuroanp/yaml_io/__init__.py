"""The strict YAML reader of hardware profiles and run configs.

`read` a file (or `parse` text) into a Document, `assign` overrides from the command line
(`place` those of Python code), `validate`
it against a model made of `Section`s; every problem comes out at once as "file:line: key: what; remedy".
"""

from neuroanp.yaml_io.document import Document, Key, dotted, key_of
from neuroanp.yaml_io.plain import in_a_line, to_plain
from neuroanp.yaml_io.reader import assign, display, dump, parse, parse_value, place, read
from neuroanp.yaml_io.validation import (
    Chosen,
    GrowingSection,
    Problem,
    Section,
    all_at,
    at,
    chosen_of,
    failed,
    problems_in,
    validate,
)

__all__ = [
    "Chosen",
    "Document",
    "GrowingSection",
    "Key",
    "Problem",
    "Section",
    "all_at",
    "assign",
    "at",
    "chosen_of",
    "display",
    "dotted",
    "dump",
    "failed",
    "in_a_line",
    "key_of",
    "parse",
    "parse_value",
    "place",
    "problems_in",
    "read",
    "to_plain",
    "validate",
]
