"""From resolved configs to data, models and metrics that fit together, or a sentence saying why they do not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.checkpoint import checkpoint_info, read_checkpoint, read_exported
from mutoscope.config import ConfigError, build, build_dataset, locate
from mutoscope.console import say
from mutoscope.data.datamodule import DataModule
from mutoscope.data.registry import datamodule_class, datamodules
from mutoscope.foreign import as_large_as, from_file, portable_model
from mutoscope.formats.backbones import MissingBackboneError
from mutoscope.models.base import GenerativeModule, IterationModule
from mutoscope.structures import DatasetInfo


def model_class(model: Mapping[str, Any], *, foreign: bool = False) -> type[IterationModule]:
    """The class a model node names; see :func:`~mutoscope.config.build` for ``foreign``.

    Raises:
        ConfigError: if it is no model.
    """
    cls = locate(model.get("_target_"), "model", foreign=foreign)
    if not (isinstance(cls, type) and issubclass(cls, IterationModule)):
        raise ConfigError(f"model._target_ is '{model['_target_']}', which is no model; expected an IterationModule.")
    return cls


def check_pair(model: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
    """Whether a model can train on a dataset.

    Raises:
        ConfigError: naming both kinds and the datasets that would fit.
    """
    takes = model_class(model).takes
    yields = datamodule_class(dataset["name"]).kind
    if takes != yields:
        fitting = [name for name, cls in datamodules().items() if cls.kind == takes]
        raise ConfigError(
            f"{model['_target_'].split('.')[-1]} takes {takes} data, but dataset '{dataset['name']}' yields {yields}; "
            f"datasets that fit: {', '.join(fitting) or 'none yet'}."
        )


def prepared(dataset: Mapping[str, Any]) -> DataModule:
    """Build, prepare and set up a dataset, and say what it holds."""
    datamodule: DataModule = build_dataset(dataset)
    datamodule.prepare_data()
    datamodule.setup("fit")
    info = datamodule.info
    # what cannot be read back from a checkpoint is not trained on
    DatasetInfo.from_dict(info.to_dict())
    say(f"Dataset {info.name}: {datamodule.describe()}.")
    return datamodule


#: what networks depend on in a description of data
_DEPENDED_ON = (
    "kind",
    "classes",
    "vocabulary",
    "skeleton",
    "channels",
    "frame_size",
    "length",
    "fps",
    "root",
    "units",
    "normaliser",
)


def same_data(mine: DatasetInfo, theirs: DatasetInfo, whose: str) -> None:
    """Whether two descriptions agree in all that a network depends on.

    Raises:
        ConfigError: naming the first difference.
    """
    a, b = mine.to_dict(), theirs.to_dict()
    for field in _DEPENDED_ON:
        if a[field] != b[field]:
            raise ConfigError(
                f"The dataset's {field} is {_brief(a[field])}, but {whose} was made with {_brief(b[field])}; "
                "set the dataset's options as they were then."
            )


def _brief(value: Any) -> str:
    text = value["name"] if isinstance(value, dict) and "name" in value else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def load_model(checkpoint: Path) -> tuple[GenerativeModule, dict[str, Any]]:
    """A trained model from a checkpoint or an exported folder alone, in evaluation mode, and its training's config.

    Whoever wrote the file, nothing in it is resolved or run, and no more memory is taken than its weights need.
    Networks are not compiled, which would take longer than what is generated once.

    Raises:
        CheckpointError: if the file or folder is neither, holds no generative model, or describes another one than its
            weights are of.
    """
    data = read_exported(checkpoint) if checkpoint.is_dir() else read_checkpoint(checkpoint)
    with from_file(checkpoint):
        config = dict(data["mutoscope"]["config"])
        config["model"] = portable_model(config["model"])
        cls = model_class(config["model"], foreign=True)
        if not issubclass(cls, GenerativeModule):
            raise ConfigError(f"it holds a {cls.__name__}, which generates nothing.")
        info = checkpoint_info(data, "the description of its data")
        with as_large_as(data["state_dict"]):
            model: GenerativeModule = build(config["model"], "model", foreign=True, info=info)
        check_weights(model, data["state_dict"], "its weights")
        model.load_state_dict(data["state_dict"])
        model.on_load_checkpoint(data)
    return model.eval(), config


def check_weights(model: IterationModule, weights: Mapping[str, Tensor], whose: str) -> None:
    """Whether a model can take these weights.

    Raises:
        ConfigError: naming the first tensor that is missing, superfluous or of another shape.
    """
    mine = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in weights.items()}
    for name in [*mine, *theirs]:
        if mine.get(name) != theirs.get(name):
            raise ConfigError(
                f"'{name}' is {_shape(mine.get(name))} in the model, but {_shape(theirs.get(name))} in {whose}; "
                "set the model's options as they were in training."
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of shape {list(shape)}"


def build_metrics(
    nodes: Mapping[str, Any],
    info: DatasetInfo,
    *,
    recognizer: Any = None,
    own: Mapping[str, Any] | None = None,
    track_classifier: Any = None,
    reference: Tensor | None = None,
) -> dict[str, Metric]:
    """The metrics of a config, each given what it asks for; those that make no sense here are left out, aloud.

    Args:
        nodes: by name.
        info: of the data.
        recognizer: a network that names actions of motion.
        own: by metric, a network that it asks in the place of ``recognizer``.
        track_classifier: a network that names actions of box tracks.
        reference: joints of all training clips.

    Raises:
        MissingBackboneError: if weights that a metric names are not there; where none are named and none are found, the
            metric is left out.
    """
    late: dict[str, Any] = {"info": info, "skeleton": info.skeleton}
    if recognizer is not None:
        late["recognizer"] = recognizer
    if track_classifier is not None:
        late["track_classifier"] = track_classifier
    if reference is not None:
        late["reference"] = reference
    metrics = {}
    for name, node in nodes.items():
        if node is None:
            continue
        if info.channels == 2 and getattr(locate(node["_target_"], f"metrics.{name}"), "spatial", False):
            say(f"The metric {name} is left out: it needs three dimensions, and '{info.name}' has two.")
            continue
        try:
            settings = {key: value for key, value in node.items() if key != "recognizer"}
            theirs = {"recognizer": own[name]} if own and name in own else {}
            metrics[name] = build(settings, f"metrics.{name}", **{**late, **theirs})
        except MissingBackboneError as absent:
            if absent.named:
                raise
            say(f"The metric {name} is left out: {absent}")
    return metrics


def clips_of(datamodule: DataModule, split: Any, limit: int | None = None, seed: int = 0) -> Any:
    """Clips of a split as one batch: all of them, or ``limit`` drawn without replacement, evenly over classes."""
    data = datamodule.dataset(split)
    if limit is None or limit >= len(data):
        return data.__getitems__(list(range(len(data))))
    return data.__getitems__(even_order(data.label, seed)[:limit].tolist())


def even_order(label: Tensor, seed: int) -> Tensor:
    """``[n]`` every index of ``label: [n]`` once, at random, such that any beginning is even over classes."""
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    label = label[order]
    # position of every item among those of its class: taking the lowest first is even over classes
    by_class = label.argsort(stable=True)
    count = torch.bincount(label)
    first = count.cumsum(dim=0) - count
    nth = torch.empty_like(label)
    nth[by_class] = torch.arange(len(label)) - first[label[by_class]]
    return order[nth.argsort(stable=True)]
