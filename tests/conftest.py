"""Where the suite finds recorded tensors and shared data outside the repository."""

import os
from pathlib import Path

import pytest


def shared_path() -> Path:
    """The folder of shared data: ``MUTOSCOPE_SHARED``, or ``shared`` beside the repository."""
    return Path(os.environ.get("MUTOSCOPE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        metavar="DIR",
        default=None,
        help="folder of golden tensors, one subfolder per model (default: ../shared/golden)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let every test and ``pytest_generate_tests`` read ``config.golden_dir``."""
    given = config.getoption("--golden")
    config.golden_dir = Path(given).resolve() if given else shared_path() / "golden"


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
    path = shared_path()
    if not path.is_dir():
        pytest.skip(f"There is no shared data at '{path}'; set MUTOSCOPE_SHARED to its folder.")
    return path
