"""Simulate the network's passes: one backend a neuron model."""

from neuroanp.backends.protocol import BACKENDS, Backend

__all__ = ["BACKENDS", "Backend"]
