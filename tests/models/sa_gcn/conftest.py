"""SA-GCN with networks so narrow that an iteration takes milliseconds, and dense ones that compute the same."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import sa_gcn_dense

Compose = Callable[..., dict[str, Any]]

SMALL = (
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6,8,8]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
    "dataset.length=16",
    "dataset.batch_size=4",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
)
PEOPLE = (
    "dataset=toy_motion",
    "dataset.clips_per_class=7",
    "dataset.val_clips_per_class=4",
    "dataset.classes=[walk,wave,kick]",
)


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
