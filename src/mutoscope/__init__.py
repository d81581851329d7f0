"""Mutoscope: generative video and motion that is controlled by actions."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mutoscope")
except PackageNotFoundError:
    __version__ = "0+unknown"

__all__ = ["__version__"]
