"""Where the trials of a search lie: a name that can be had without what searches."""

FOLDER = "tuning"
"""In the store: `neuroanp report` of the store shows what was compared, not what was tried."""
