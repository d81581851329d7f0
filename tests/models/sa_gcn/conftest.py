"""Small networks, and the dense implementation as an independent computation of the same thing."""

from types import ModuleType

import pytest
import sa_gcn_dense


@pytest.fixture(scope="session")
def dense() -> ModuleType:
    """The module ``tests/benchmarks/sa_gcn_dense.py``."""
    return sa_gcn_dense
