"""The command line in this process."""

from tests.cli.conftest import invoke

__all__ = ["invoke"]
