"""What to cite of a run: rules, devices, data and tools, as BibTeX, from the sources that code and profiles name."""

from neuroanp.citing.bibtex import Entry, bibtex
from neuroanp.citing.collecting import of_profile, of_rule, of_run, of_task

__all__ = ["Entry", "bibtex", "of_profile", "of_rule", "of_run", "of_task"]
