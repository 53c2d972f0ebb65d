"""Methods to compare with: not local, not for a chip; they see weights and sequences only."""
