"""``evaluate``: a checkpoint in; tables of metrics with their floors, ``metrics.json`` and ``report.html`` out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.config.assembly import load_model, prepared, same_data
from mutoscope.config.nodes import check_config, with_groups
from mutoscope.kinds.base import EvaluationTask
from mutoscope.runtime.errors import ConfigError
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
    checkpoint = Path(config["checkpoint"])
    model, trained_config = load_model(checkpoint)
    tools = kinds.tools(model.takes)
    config = with_groups(config, {**tools.groups, **model.groups}, explicit)
    config["beside"] = _named(config["beside"])
    check_config(config, KEYS)
    if config["beside"] and not tools.compares:
        raise ConfigError(f"beside compares models of motion, but {checkpoint} holds one of {model.takes} data.")
    dataset = _dataset(config.get("dataset"), trained_config["dataset"], explicit.get("dataset", {}))
    datamodule = prepared(dataset)
    same_data(datamodule.info, model.info, f"checkpoint {checkpoint}")
    beside = {}
    for name, path in config["beside"].items():
        beside[name], _ = load_model(Path(path))
        same_data(datamodule.info, beside[name].info, f"checkpoint {path}, which beside calls '{name}',")
    out = Path(config["out"]) if config["out"] else _results_of(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    device = place(config["accelerator"])
    task = EvaluationTask(config, model.to(device), trained_config, datamodule, device, checkpoint, out, beside)
    return tools.evaluate(task)


def _named(beside: Any) -> dict[str, str]:
    """Paths by the names of their rows; those in a list are named after their runs.

    Raises:
        ConfigError: for anything but text, and for a path that is listed twice.
    """
    if beside is None:
        return {}
    if isinstance(beside, list | tuple) and all(isinstance(path, str) for path in beside):
        if len(set(beside)) < len(beside):
            raise ConfigError(f"beside lists the same checkpoint twice: {', '.join(beside)}.")
        runs = [_results_of(Path(path)).parent.name for path in beside]
        names = (run if runs.count(run) == 1 else f"{run}, {Path(p).stem}" for p, run in zip(beside, runs, strict=True))
        beside = dict(zip(names, beside, strict=True))
    if not isinstance(beside, Mapping) or not all(isinstance(text, str) for pair in beside.items() for text in pair):
        raise ConfigError(f"beside is '{beside}', expected paths of checkpoints by name, beside='{{name: path}}'.")
    return {str(name): str(path) for name, path in beside.items()}


def _results_of(checkpoint: Path) -> Path:
    """``evaluation`` in the exported folder, or in the run directory that holds the checkpoint."""
    path = checkpoint.resolve()
    if path.is_dir():
        return path / "evaluation"
    return (path.parents[1] if path.parent.name == "checkpoints" else path.parent) / "evaluation"


def _dataset(
    chosen: Mapping[str, Any] | None, trained: Mapping[str, Any], explicit: Mapping[str, Any]
) -> dict[str, Any]:
    typed = {name: value for name, value in explicit.items() if name}
    if chosen is None or chosen.get("name") in (None, trained["name"]):
        return {**trained, **typed}
    # another dataset is cut the way the model's own was, unless the user says otherwise
    shared = ("length", "fps", "skeleton", "channels", "root_rule", "align_heading", "size")
    return {**chosen, **{k: trained[k] for k in shared if k in trained and k in chosen}, **typed}
