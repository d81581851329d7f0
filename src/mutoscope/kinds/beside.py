"""Checkpoints by the names of their rows, and where the results of one lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope.runtime.errors import ConfigError


def several(paths: Any, setting: str) -> list[Any]:
    """One checkpoint, or a list of them: paths, or models that were loaded in Python.

    Raises:
        ConfigError: for anything else, and for one that is listed twice.
    """
    listed = list(paths) if isinstance(paths, list | tuple) else [paths]
    if not listed or not all(_is_checkpoint(path) for path in listed):
        raise ConfigError(f"{setting} is '{paths}', expected a path, or a list of them: {setting}='[a.ckpt, b.ckpt]'.")
    texts = list(map(path_of, listed))
    if len(set(texts)) < len(texts):
        raise ConfigError(f"{setting} lists the same checkpoint twice: {', '.join(texts)}.")
    return listed


def named(beside: Any) -> dict[str, list[Any]]:
    """Checkpoints by the names of their rows; those in a list are named after their runs.

    Raises:
        ConfigError: for anything but checkpoints or lists of them, and for one that is listed twice.
    """
    if beside is None:
        return {}
    if isinstance(beside, list | tuple) and all(_is_checkpoint(path) for path in beside):
        listed = several(beside, "beside") if beside else []
        runs = [results_of(Path(path_of(path))).parent.name for path in listed]
        names = (
            run if runs.count(run) == 1 else f"{run}, {Path(path_of(path)).stem}"
            for path, run in zip(listed, runs, strict=True)
        )
        beside = dict(zip(names, listed, strict=True))
    if not isinstance(beside, Mapping) or not all(isinstance(name, str) for name in beside):
        raise ConfigError(f"beside is '{beside}', expected paths of checkpoints by name, beside='{{name: path}}'.")
    return {name: several(paths, f"beside.{name}") for name, paths in beside.items()}


def path_of(checkpoint: Any) -> str:
    """Of a checkpoint that is a path, or a model that was loaded from one."""
    return str(getattr(checkpoint, "path", checkpoint))


def as_typed(value: Any) -> Any:
    """A setting as it would be typed: loaded models as their paths."""
    if isinstance(value, Mapping):
        return {key: as_typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_typed(inner) for inner in value]
    return path_of(value) if _is_checkpoint(value) else value


def results_of(checkpoint: Path) -> Path:
    """``evaluation`` in the exported folder, or in the run directory that holds the checkpoint."""
    path = checkpoint.resolve()
    if path.is_dir():
        return path / "evaluation"
    return (path.parents[1] if path.parent.name == "checkpoints" else path.parent) / "evaluation"


def _is_checkpoint(value: Any) -> bool:
    # a model that was loaded has a path; paths themselves have none
    return isinstance(value, str | Path) or isinstance(getattr(value, "path", None), Path)
