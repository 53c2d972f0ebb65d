"""The postsynaptic factors of a chunk whose credit is known, by both halves of a rule."""

from __future__ import annotations


def factors_of(rule, chunk, credit, weights, plan):
    return rule.modulate(rule.compare(chunk, weights, plan), credit, weights.network)
