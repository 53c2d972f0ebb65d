"""Hardware profiles from measurements: fit a law to a CSV file, with 95 % intervals and tests of the fit.

    fit = fit_file("trace.csv", "telegraph")
    print(fit["tau_high"].text, fit["tau_high"].interval)
    text = profile_text(fit, name="my_mtj", date="2026-02-03")

    fits = fit_files(["pulses.csv", "read_noise:reads.csv"], Options(v_read=0.2))  # one profile, one range
    text = profile_text(fits, name="my_rram", date="2026-02-03")

One module a kind of measurement: telegraph, pulse, read_noise, drift, programming.
"""

from neuroanp.fitting.kinds import KINDS, fit_file
from neuroanp.fitting.options import Options, options_of
from neuroanp.fitting.profile_text import inherited_notes, profile_text
from neuroanp.fitting.result import Choice, Fit, Goodness, Parameter
from neuroanp.fitting.several import fit_files, kind_of
from neuroanp.fitting.tabulate import Tabulated, tabulate

__all__ = [
    "KINDS", "Choice", "Fit", "Goodness", "Options", "Parameter", "Tabulated", "fit_file", "fit_files",
    "inherited_notes", "kind_of", "options_of", "profile_text", "tabulate",
]  # fmt: skip
