"""The environment with the built wheel that walks happen in."""

from tests.test_wheel import installed, wheel

__all__ = ["installed", "wheel"]
