"""``evaluate``: a checkpoint in; tables of metrics with their floors, ``metrics.json`` and ``report.html`` out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.assembly import load_model, prepared, same_data
from mutoscope.config import check_config, with_groups
from mutoscope.engine import place
from mutoscope.kinds.base import EvaluationTask

KEYS = (
    "checkpoint",
    "dataset",
    "metrics",
    "recognizer",
    "out",
    "split",
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
            model's kind.

    Returns:
        What the evaluation of the model's kind found; also written to ``out``.
    """
    explicit = explicit or {}
    check_config(config, KEYS)
    checkpoint = Path(config["checkpoint"])
    model, trained_config = load_model(checkpoint)
    tools = kinds.tools(model.takes)
    config = with_groups(config, tools.groups, explicit)
    check_config(config, KEYS)
    dataset = _dataset(config.get("dataset"), trained_config["dataset"], explicit.get("dataset", {}))
    datamodule = prepared(dataset)
    same_data(datamodule.info, model.info, f"checkpoint {checkpoint}")
    out = Path(config["out"]) if config["out"] else _beside(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    device = place(config["accelerator"])
    return tools.evaluate(EvaluationTask(config, model.to(device), trained_config, datamodule, device, checkpoint, out))


def _beside(checkpoint: Path) -> Path:
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
