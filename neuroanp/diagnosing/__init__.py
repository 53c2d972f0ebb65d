"""Measure how good the update of a rule is: against the exact gradient of the same batch."""
