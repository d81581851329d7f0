"""A tiny GLASS on W-Sprites that was trained through the front door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from narrow import GLASS, GLASS_WIDTHS, QUIET, SPRITES

Compose = Callable[..., dict[str, Any]]
SMALL = (*GLASS, "trainer=cpu", *QUIET)


@pytest.fixture(scope="session")
def small(compose: Compose) -> Compose:
    """``small("trainer.max_steps=3", ...)``: a config whose training takes seconds."""

    def composed(*overrides: str) -> dict[str, Any]:
        return compose(*SPRITES, *SMALL, *overrides)

    return composed


@pytest.fixture(scope="session")
def small_model() -> tuple[str, ...]:
    """What is typed for a model of this size, for clips of 5 frames of any data."""
    return SMALL


@pytest.fixture(scope="session")
def trained_glass(small: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory after 6 iterations, measured and shown at the end."""
    from mutoscope.verbs.train import train

    run_dir = tmp_path_factory.mktemp("runs") / "glass"
    train(small("trainer.max_steps=6", "measure.every_n_steps=6", "callbacks.media.every_n_steps=6"), run_dir)
    return run_dir


@pytest.fixture(scope="session")
def sprites() -> tuple[str, ...]:
    """What is typed for a few clips of drawn characters."""
    return SPRITES


@pytest.fixture(scope="session")
def narrow() -> tuple[str, ...]:
    """What is typed for narrow networks, however they are trained."""
    return (
        *GLASS_WIDTHS,
        *(f"model.length.{name}=5" for name in ("start", "end")),
        *(f"model.teacher_forced.{name}=2" for name in ("start", "end")),
        "model.perceptual=none",
    )
