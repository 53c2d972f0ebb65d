"""Learning rules: local, from forward activity and a global loss only."""

from neuroanp.learning.protocol import RULES, LearningRule

__all__ = ["RULES", "LearningRule"]
