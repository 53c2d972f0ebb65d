"""Reports: one self-contained HTML file, and the tables that a terminal prints as well."""

from neuroanp.reporting.html import render
from neuroanp.reporting.method import Method, methods
from neuroanp.reporting.tables import Table, headline, results_table, verdicts

__all__ = ["Method", "Table", "headline", "methods", "render", "results_table", "verdicts"]
