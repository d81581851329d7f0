"""A small tree in CATER's format, and an AG2Vid of a few iterations on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cater_tree import write_tree
from narrow import AG2VID, CLIPS, QUIET

Compose = Callable[..., dict[str, Any]]

SMALL = (*AG2VID, "trainer=cpu", *QUIET)


@pytest.fixture(scope="session")
def command() -> tuple[str, ...]:
    """Overrides for networks that train in a second."""
    return SMALL


@pytest.fixture(scope="session")
def cater(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides for five videos in CATER's format, prepared once."""
    folder = tmp_path_factory.mktemp("ag2vid")
    root = write_tree(folder / "max2action", objects=12)
    return (
        "dataset=cater",
        f"dataset.root={root}",
        f"dataset.cache_dir={folder / 'cache'}",
        *CLIPS,
    )


@pytest.fixture(scope="session")
def small(compose: Compose, cater: tuple[str, ...]) -> Compose:
    """``small("trainer.max_steps=3", ...)``: a training of AG2Vid that measures and draws nothing unless asked."""

    def composed(*overrides: str) -> dict[str, Any]:
        return compose(*SMALL, *cater, "metrics=none", "callbacks=none", *overrides)

    return composed


@pytest.fixture(scope="session")
def classifier_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the classifiers of box tracks go, so that one training of two iterations serves all tests."""
    cache = tmp_path_factory.mktemp("classifiers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUTOSCOPE_CACHE", str(cache))
        yield cache


@pytest.fixture(scope="session")
def trained_ag2vid(small: Compose, tmp_path_factory: pytest.TempPathFactory, classifier_cache: Path) -> Path:
    """Run directory of a model with two layouts and an average after 4 iterations, measured at every second."""
    from mutoscope.verbs.train import train

    run_dir = tmp_path_factory.mktemp("runs") / "ag2vid"
    train(
        small(
            "trainer.max_steps=4",
            "trainer.checkpoint_every_n_steps=2",
            "model.layout.rivals=[rnn]",
            "model.ema_half_life=2",
            "metrics=action_graph",
            "recognizer.max_steps=2",
            "measure.every_n_steps=2",
            "measure.samples_per_class=2",
            "callbacks=default",
            "callbacks.media.every_n_steps=4",
        ),
        run_dir,
    )
    return run_dir
