"""Small networks, and the naive implementation as an independent computation of the same thing."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """The module ``tests/benchmarks/kinetic_gan_naive.py``."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "kinetic_gan_naive.py"
    spec = importlib.util.spec_from_file_location("kinetic_gan_naive", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
