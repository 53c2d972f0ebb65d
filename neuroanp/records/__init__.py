"""Run directories that survive a crash at any byte, and the store that holds many of them."""

from neuroanp.records.environment import environment
from neuroanp.records.identity import code_version, identity
from neuroanp.records.metrics import Metrics
from neuroanp.records.result import RESULT_KEYS
from neuroanp.records.run_dir import RunDir
from neuroanp.records.store import Store

__all__ = ["RESULT_KEYS", "Metrics", "RunDir", "Store", "code_version", "environment", "identity"]
