"""Tasks: sequences with targets, a score and the forecasts any method should beat."""
