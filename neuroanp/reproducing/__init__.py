"""Repeat the experiments of a paper: its tasks, sizes and methods, and which of its claims hold here."""
