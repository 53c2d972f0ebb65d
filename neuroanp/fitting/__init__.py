"""Hardware profiles from measurements: fit a law to a CSV file, with 95 % intervals and tests of the fit.

    fit = fit_file("trace.csv", "telegraph")
    print(fit["tau_high"].text, fit["tau_high"].interval)
    text = profile_text(fit, name="my_mtj", date="2026-02-03")

One module a kind of measurement: telegraph, pulse, read_noise, drift, programming.
"""

from neuroanp.fitting.kinds import KINDS, fit_file
from neuroanp.fitting.options import Options
from neuroanp.fitting.profile_text import inherited_notes, profile_text
from neuroanp.fitting.result import Choice, Fit, Goodness, Parameter

__all__ = ["KINDS", "Choice", "Fit", "Goodness", "Options", "Parameter", "fit_file", "inherited_notes", "profile_text"]
