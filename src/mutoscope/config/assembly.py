"""From resolved configs to data, models and metrics that fit together, or a sentence saying why they do not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mutoscope.config.foreign import as_large_as, from_file, portable_model
from mutoscope.config.nodes import build, build_dataset
from mutoscope.config.static import mismatch
from mutoscope.config.targets import locate
from mutoscope.data.datamodule import DataModule
from mutoscope.data.registry import datamodule_class, datamodules
from mutoscope.formats.about import About, TrainedConfig
from mutoscope.formats.checkpoints import checkpoint_info, read_checkpoint, read_exported
from mutoscope.models.base import IterationModule
from mutoscope.models.generative import GenerativeModule
from mutoscope.nn.spectral import unsearched_vectors
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
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
    if takes != datamodule_class(dataset["name"]).kind:
        kinds = {name: cls.kind for name, cls in datamodules().items()}
        raise mismatch(model["_target_"], takes, dataset["name"], kinds)


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


def load_model(checkpoint: Path) -> tuple[GenerativeModule, TrainedConfig]:
    """A trained model from a checkpoint or an exported folder alone, in evaluation mode, and its training's config.

    Whoever wrote the file, nothing in it is resolved or run, and no more memory is taken than its weights need.
    Networks are not compiled, which would take longer than what is generated once.

    Raises:
        CheckpointError: if the file or folder is neither, holds no generative model, or describes another one than its
            weights are of.
    """
    data = read_exported(checkpoint) if checkpoint.is_dir() else read_checkpoint(checkpoint)
    with from_file(checkpoint):
        about = About.of(data)
        if (part := about.part) is not None:
            raise ConfigError(
                f"it holds {part} alone, which generates nothing; start a training from it: "
                f"model.start_from.{part}={checkpoint}."
            )
        node = portable_model(about.config.model)
        cls = model_class(node, foreign=True)
        if not issubclass(cls, GenerativeModule):
            raise ConfigError(f"it holds a {cls.__name__}, which generates nothing.")
        info = checkpoint_info(data, "the description of its data")
        with as_large_as(data["state_dict"]), unsearched_vectors():
            model: GenerativeModule = build(node, "model", foreign=True, info=info)
        model.adapt(data)
        check_weights(model, data["state_dict"], "its weights")
        model.load_state_dict(data["state_dict"])
        model.on_load_checkpoint(data)
    return model.eval(), TrainedConfig.of({**about.config.settings, "model": node})


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
