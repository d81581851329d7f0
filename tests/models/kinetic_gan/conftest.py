"""Small networks, and the naive implementation as an independent computation of the same thing."""

from types import ModuleType

import kinetic_gan_naive
import pytest


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """The module ``tests/support/kinetic_gan_naive.py``."""
    return kinetic_gan_naive
