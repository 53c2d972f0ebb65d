"""Reports: one self-contained HTML file, and the tables that a terminal prints as well."""

from neuroanp.reporting.html import render
from neuroanp.reporting.tables import Method, Table, headline, methods, results_table, verdicts

__all__ = ["Method", "Table", "headline", "methods", "render", "results_table", "verdicts"]
