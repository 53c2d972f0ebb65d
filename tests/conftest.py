"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A first example pays for imports, and machines are shared: how long one takes says nothing of the code.
settings.register_profile("neuroanp", deadline=None)
settings.load_profile("neuroanp")
