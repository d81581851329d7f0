"""A tiny GLASS on W-Sprites that was trained through the front door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Compose = Callable[..., dict[str, Any]]
SPRITES = (
    "dataset=wsprites",
    "dataset.characters=3",
    "dataset.videos=1",
    "dataset.frames=12",
    "dataset.length=5",
    "dataset.shrink=2",
    "dataset.batch_size=2",
)
NARROW = (
    *(f"model.global_motion.mask.{name}={size}" for name, size in (("stem", 4), ("trunk", 6), ("up", 4), ("depth", 1))),
    *(f"model.global_motion.inpainting.{name}={size}" for name, size in (("half", 4), ("quarter", 5), ("eighth", 6))),
    "model.global_motion.shifts.convolutions=[4,5,6,7]",
    "model.global_motion.shifts.hidden=[6,5]",
    *(
        f"model.local_motion.encoder.{n}={size}"
        for n, size in (("half", 4), ("quarter", 5), ("eighth", 6), ("state", 6))
    ),
    *(f"model.local_motion.decoder.{name}={size}" for name, size in (("quarter", 8), ("half", 6), ("full", 5))),
    "model.local_motion.dynamics.compressed=4",
    "model.local_motion.dynamics.width=5",
    "model.local_motion.actions.codes=3",
)
SMALL = (
    "model=glass",
    *NARROW,
    *(f"model.length.{name}={value}" for name, value in (("start", 3), ("end", 5), ("begin", 2), ("lasts", 2))),
    *(f"model.teacher_forced.{name}={value}" for name, value in (("start", 2), ("end", 1), ("begin", 1), ("lasts", 2))),
    "model.pretraining=1",
    "model.perceptual=none",
    "measure.samples_per_class=1",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
)


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
        *NARROW,
        *(f"model.length.{name}=5" for name in ("start", "end")),
        *(f"model.teacher_forced.{name}=2" for name in ("start", "end")),
        "model.perceptual=none",
    )
