"""Shared by the whole suite: recorded tensors and data outside the repository, configs, a tiny trained model."""

import copy
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import patience
from places import SHARED

# before torch starts its threads: waiting ones must not spin for long while processes share the cores
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        metavar="DIR",
        default=None,
        help="folder of golden tensors, one subfolder per model (default: ../shared/golden)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let every test and ``pytest_generate_tests`` read ``config.golden_dir``; heed Ctrl-C wherever tests are started.

    Shells start what runs in the background with SIGINT ignored, and the program leaves what is ignored as it is. Time
    limits are as long as the machine needs.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # a limit on the command line is meant as it stands
    if config.option.timeout is None:
        config.option.timeout = patience(float(config.getini("timeout")))
    given = config.getoption("--golden")
    config.golden_dir = Path(given).resolve() if given else SHARED / "golden"


#: what takes more than seven seconds of a processor each, longest first
LONG = (
    *("test_config.py", "test_two_ranks.py", "test_extractors.py", "test_foreign.py", "test_ag2vid_runs.py"),
    *("test_glass_runs.py", "test_ag2vid_evaluation.py", "test_evaluate.py", "test_glass_both_ways.py"),
    *("test_help.py", "test_glass_control.py", "test_ag2vid_module.py", "test_train.py", "test_smoke.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, which would otherwise keep one process waiting for the other.

    Then come those with slow tests, which run in a stage of their own or, with the lowest versions, among all others.
    """
    marked = {item.path for item in items if item.get_closest_marker("ddp") or item.get_closest_marker("slow")}
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: (order.get(item.path.name, len(LONG)), item.path not in marked))


def pytest_collection_finish() -> None:
    """Take what was imported out of the garbage collector's sight, which walks half a million objects each time.

    What is made in tests is looked through less often than usual: they make much, and keep little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def golden_dir(request: pytest.FixtureRequest) -> Path:
    """Folder of golden tensors; skips where it is absent."""
    path: Path = request.config.golden_dir
    if not path.is_dir():
        pytest.skip(f"There are no golden tensors at '{path}'; name their folder with --golden DIR.")
    return path


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of shared data; skips where it is absent."""
    path = SHARED
    if not path.is_dir():
        pytest.skip(f"There is no shared data at '{path}'; set MUTOSCOPE_SHARED to its folder.")
    return path


@pytest.fixture(scope="session")
def blocks_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for ``toy_blocks``, so that each video is filmed once; tests leave what they find there.

    All processes of the suite share it: data are made under a lock.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "toy_blocks"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def small_galleries() -> Iterator[None]:
    """Clips in the galleries of evaluations are drawn small, and all are encoded at once, in files of any size.

    What is tested of these is that they are there; tests/formats/test_video.py looks at what users get.
    """
    from mutoscope.formats import video
    from mutoscope.render.sheet import save_motion_gallery

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(save_motion_gallery.__kwdefaults__, "size", (48, 48))
        patch.setattr(video, "PRESET", "ultrafast")
        yield


@pytest.fixture(scope="session", autouse=True)
def configs_once() -> Iterator[None]:
    """The files of ``conf/`` are parsed once by each process, and put together once for the same choices."""
    from composed_once import configs_composed_once

    with configs_composed_once():
        yield


Compose = Callable[..., dict[str, Any]]

#: seconds instead of hours: few people, narrow networks, one thread, nothing measured or drawn
TINY = (
    "dataset.clips_per_class=8",
    "dataset.val_clips_per_class=4",
    "dataset.classes=[walk,wave,kick]",
    "dataset.length=16",
    "dataset.batch_size=8",
    "model.widths=[16,16,8,8,8]",
    "model.latent=8",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
    "metrics=none",
    "callbacks=none",
)


@pytest.fixture(scope="session")
def compose() -> Compose:
    """``compose("key=value", ..., verb="train")``: the resolved config the command line would make, without running."""
    from mutoscope.cli.composed import compose as as_typed
    from mutoscope.config.choices import config_dirs

    made: dict[tuple[str, ...], dict[str, Any]] = {}

    def composed(*overrides: str, verb: str = "train") -> dict[str, Any]:
        """A config that is the caller's to change; those that many tests ask for are composed once."""
        key = (verb, str(config_dirs()), *overrides)
        if key not in made:
            made[key] = as_typed(verb, overrides)[0]
        return copy.deepcopy(made[key])

    return composed


@pytest.fixture(scope="session")
def tiny_typed() -> tuple[str, ...]:
    """What is typed for a training of a second."""
    return TINY


@pytest.fixture(scope="session")
def tiny(compose: Compose) -> Compose:
    """``tiny("trainer.max_steps=3", ...)``: a config whose training takes a second."""

    def composed(*overrides: str) -> dict[str, Any]:
        return compose(*TINY, *overrides)

    return composed


@pytest.fixture(scope="session")
def trained(tiny: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a tiny model after 6 iterations, with an average and a checkpoint at every second one."""
    from mutoscope.verbs.train import train

    run_dir = tmp_path_factory.mktemp("runs") / "trained"
    train(tiny("trainer.max_steps=6", "trainer.milestones_every_n_steps=2"), run_dir)
    return run_dir
