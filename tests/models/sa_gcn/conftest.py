"""Small networks, and the dense implementation as an independent computation of the same thing."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def dense() -> ModuleType:
    """The module ``tests/benchmarks/sa_gcn_dense.py``."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "sa_gcn_dense.py"
    spec = importlib.util.spec_from_file_location("sa_gcn_dense", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
