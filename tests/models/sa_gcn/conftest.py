"""SA-GCN with networks so narrow that an iteration takes milliseconds, and dense ones that compute the same."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import sa_gcn_dense
from narrow import PEOPLE, QUIET, SA_GCN

Compose = Callable[..., dict[str, Any]]

SMALL = (*SA_GCN, "trainer=cpu", *QUIET)


@pytest.fixture(scope="session")
def dense() -> ModuleType:
    """The module ``tests/support/sa_gcn_dense.py``."""
    return sa_gcn_dense


@pytest.fixture(scope="session")
def networks() -> tuple[str, ...]:
    """Overrides for narrow networks and short clips on one thread."""
    return SMALL


@pytest.fixture(scope="session")
def people() -> tuple[str, ...]:
    """Overrides for a few people made up on the spot."""
    return PEOPLE


@pytest.fixture(scope="session")
def small(compose: Compose) -> Compose:
    """``small("trainer.max_steps=3", ...)``: a training of SA-GCN that measures and draws nothing unless asked."""

    def composed(*overrides: str) -> dict[str, Any]:
        return compose("model=sa_gcn", *PEOPLE, *SMALL, "metrics=none", "callbacks=none", *overrides)

    return composed
