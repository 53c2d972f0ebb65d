"""The version and its day, where every room may look them up; CITATION.cff has them too."""

__version__ = "0.1.0"
RELEASED = "2026-11-23"
