"""``evaluate``: a checkpoint in; tables of metrics with their floors, ``metrics.json`` and ``report.html`` out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.config.assembly import load_model, prepared, same_data
from mutoscope.config.foreign import taken_dataset
from mutoscope.config.nodes import check_config, with_groups
from mutoscope.kinds.base import EvaluationTask
from mutoscope.kinds.fitting import check_measures
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import no_empty_folders
from mutoscope.structures import DatasetInfo
from mutoscope.training.trainer import place

KEYS = (
    "checkpoint",
    "beside",
    "dataset",
    "metrics",
    "recognizer",
    "out",
    "split",
    "reference",
    "samples_per_class",
    "seed",
    "seeds",
    "truncation",
    "accelerator",
    "debug",
)


def evaluate(config: Mapping[str, Any], explicit: Mapping[str, Mapping[str, Any]] | None = None) -> Any:
    """Measure a trained model.

    Args:
        config: resolved, plain.
        explicit: by group, the settings the user typed, with an entry ``""`` for the choice of the group itself: those
            of ``dataset`` win over the checkpoint's; ``metrics`` and ``recognizer`` that nobody chose are those of the
            model, or of its kind.

    Returns:
        What the evaluation of the model's kind found; also written to ``out``.
    """
    explicit = explicit or {}
    # metrics may be settings of choices that the model makes
    check_config({key: value for key, value in config.items() if key != "metrics"}, KEYS)
    checkpoint, *further = map(Path, _several(config["checkpoint"], "checkpoint"))
    config = {**config, "seeds": _seeds(config.get("seeds"))}
    model, trained_config = load_model(checkpoint)
    tools = kinds.tools(model.takes)
    config = with_groups(config, {**tools.groups, **model.groups}, explicit)
    config["beside"] = _named(config["beside"])
    check_config(config, KEYS)
    check_measures(config, type(model))
    if config["beside"] and not tools.compares:
        raise ConfigError(f"beside compares models of motion, but {checkpoint} holds one of {model.takes} data.")
    typed = explicit.get("dataset", {})
    dataset = _dataset(config.get("dataset"), trained_config["dataset"], typed, str(checkpoint))
    datamodule = prepared(dataset)
    same_data(datamodule.info, model.info, f"checkpoint {checkpoint}")
    others = [_further(path, datamodule.info, f"checkpoint {path}") for path in further]
    for path, other in zip(further, others, strict=True):
        if type(other) is not type(model):
            raise ConfigError(
                f"checkpoint lists {checkpoint}, a {type(model).__name__}, and {path}, a {type(other).__name__}; list "
                "checkpoints of one model, and compare with others by beside='{name: path}'."
            )
    beside = {
        name: [
            _further(Path(path), datamodule.info, f"checkpoint {path}, which beside calls '{name}',")
            for path in ([paths] if isinstance(paths, str) else paths)
        ]
        for name, paths in config["beside"].items()
    }
    out = Path(config["out"]) if config["out"] else _results_of(checkpoint)
    device = place(config["accelerator"])
    with no_empty_folders(out):
        out.mkdir(parents=True, exist_ok=True)
        task = EvaluationTask(
            config, model.to(device), trained_config, datamodule, device, checkpoint, out, beside, others, explicit
        )
        return tools.evaluate(task)


def _further(path: Path, info: DatasetInfo, whose: str) -> GenerativeModule:
    """Another model of the same data."""
    model, _ = load_model(path)
    same_data(info, model.info, whose)
    return model


def _several(paths: Any, setting: str) -> list[str]:
    """One path, or a list of them.

    Raises:
        ConfigError: for anything but text, and for a path that is listed twice.
    """
    listed = [paths] if isinstance(paths, str | Path) else paths
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(path, str | Path) for path in listed):
        raise ConfigError(f"{setting} is '{paths}', expected a path, or a list of them: {setting}='[a.ckpt, b.ckpt]'.")
    if len(set(map(str, listed))) < len(listed):
        raise ConfigError(f"{setting} lists the same checkpoint twice: {', '.join(map(str, listed))}.")
    return list(map(str, listed))


def _seeds(seeds: Any) -> list[int] | None:
    """Different whole numbers, or none.

    Raises:
        ConfigError: for anything else.
    """
    if seeds is None:
        return None
    listed = [seeds] if isinstance(seeds, int) else seeds
    whole = isinstance(listed, list | tuple) and all(isinstance(s, int) and not isinstance(s, bool) for s in listed)
    if not whole or not listed or len(set(listed)) < len(listed) or min(listed) < 0:
        raise ConfigError(f"seeds is '{seeds}', expected different whole numbers, 0 or more: seeds=[0,1,2].")
    return list(listed)


def _named(beside: Any) -> dict[str, str | list[str]]:
    """Paths by the names of their rows; those in a list are named after their runs.

    Raises:
        ConfigError: for anything but text or lists of it, and for a path that is listed twice.
    """
    if beside is None:
        return {}
    if isinstance(beside, list | tuple) and all(isinstance(path, str) for path in beside):
        if len(set(beside)) < len(beside):
            raise ConfigError(f"beside lists the same checkpoint twice: {', '.join(beside)}.")
        runs = [_results_of(Path(path)).parent.name for path in beside]
        names = (run if runs.count(run) == 1 else f"{run}, {Path(p).stem}" for p, run in zip(beside, runs, strict=True))
        beside = dict(zip(names, beside, strict=True))
    if not isinstance(beside, Mapping) or not all(isinstance(name, str) for name in beside):
        raise ConfigError(f"beside is '{beside}', expected paths of checkpoints by name, beside='{{name: path}}'.")
    return {
        name: paths if isinstance(paths, str) else _several(paths, f"beside.{name}") for name, paths in beside.items()
    }


def _results_of(checkpoint: Path) -> Path:
    """``evaluation`` in the exported folder, or in the run directory that holds the checkpoint."""
    path = checkpoint.resolve()
    if path.is_dir():
        return path / "evaluation"
    return (path.parents[1] if path.parent.name == "checkpoints" else path.parent) / "evaluation"


def _dataset(
    chosen: Mapping[str, Any] | None, trained: Mapping[str, Any], explicit: Mapping[str, Any], whose: str
) -> dict[str, Any]:
    typed = {name: value for name, value in explicit.items() if name}
    if chosen is None or chosen.get("name") in (None, trained.get("name")):
        return taken_dataset(trained, typed, whose)
    # another dataset is cut the way the model's own was, unless the user says otherwise
    shared = ("length", "fps", "skeleton", "channels", "root_rule", "align_heading", "size")
    cut = {key: trained[key] for key in shared if key in trained and key in chosen}
    return {**chosen, **taken_dataset(cut, typed, whose)}
