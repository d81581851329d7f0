"""Checkpoints of the original code as models of this package, for ``export format=...``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mutoscope.config.assembly import check_pair, check_weights
from mutoscope.config.nodes import build, build_dataset, config_dir
from mutoscope.data.action_graph.clips import ActionGraphDataModule
from mutoscope.models.ag2vid.reference.checkpoint import (
    ReferenceFile,
    ReferenceNetworks,
    key_map_report,
    networks_from_reference,
    read_reference,
)
from mutoscope.models.ag2vid.reference.words import category_names, frame_side, one_attribute_vocabulary
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import DatasetInfo

#: originals whose checkpoints hold all that generating takes, beside their data set's description
ORIGINALS = ("ag2vid",)
#: side of the frames that the original was trained on where its flags do not tell
_RELEASED_SIDE = 256


@dataclass(frozen=True)
class ConvertedModel:
    """A model of this package with the weights of an original.

    Args:
        model: in evaluation mode.
        config: nodes ``model`` and ``dataset``, as in the config of a training.
        key_map: which tensor of the original became which, a line each.
    """

    model: GenerativeModule
    config: dict[str, Any]
    key_map: str


def convert_ag2vid(path: Path, dataset: Mapping[str, Any], typed: Mapping[str, Any]) -> ConvertedModel:
    """AG2Vid from a checkpoint of its original code; says what was read and what was left aside.

    Args:
        path: the checkpoint; a ``run_args.json`` beside it is read too.
        dataset: node of the data set it was trained on, which need not be there.
        typed: those settings of the node that a person chose; frame size and frame rate of others are the original's.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint of AG2Vid.
        ConfigError: if it was not trained on this data set.
    """
    model_node = _defaults("ag2vid")
    check_pair(model_node, dataset)
    file = read_reference(path)
    networks = networks_from_reference(file)
    given = dict(dataset)
    # one frame in so many: the original took every frame of Something-Something, which the paper does not
    as_trained = {"size": frame_side(file.arguments) or _RELEASED_SIDE, "frame_stride": 1}
    given |= {key: value for key, value in as_trained.items() if key in given and key not in typed}
    info = _described(given, file, networks, path)
    multiple = networks.frames.generator.reduction
    if any(side % multiple for side in info.need_frame_size()):
        raise ConfigError(
            f"{path} makes frames whose sides are multiples of {multiple}, not {given['size']}; set dataset.size."
        )
    model_node = _merged(model_node, {**networks.settings(), "ema_half_life": None})
    model: GenerativeModule = build(model_node, "model", info=info)
    weights = networks.weights()
    check_weights(model, weights, str(path))
    model.load_state_dict(weights)
    model.iterations = file.iterations
    key_map = key_map_report(networks)
    _report(path, file, key_map)
    return ConvertedModel(model.eval(), {"model": model_node, "dataset": given}, key_map)


def _defaults(model: str) -> dict[str, Any]:
    """The settings of a model that nobody chose."""
    loaded = OmegaConf.load(config_dir() / "model" / f"{model}.yaml")
    node = OmegaConf.to_container(OmegaConf.merge({"seed": 0}, loaded), resolve=True)
    assert isinstance(node, dict)
    return dict(node["model"])


def _merged(node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes, also in the nodes below."""
    inner = {key: _merged(node[key], value) for key, value in changes.items() if isinstance(value, Mapping)}
    return {**node, **changes, **inner}


def _described(dataset: Mapping[str, Any], file: ReferenceFile, networks: ReferenceNetworks, path: Path) -> DatasetInfo:
    """The description of the data, with the checkpoint's own words where only the data would have them.

    Raises:
        ConfigError: if tables and vocabulary do not fit together.
    """
    name, sizes = dataset["name"], networks.sizes
    datamodule = build_dataset(dataset)
    assert isinstance(datamodule, ActionGraphDataModule)
    own = category_names(file.vocabulary, sizes[0]) if len(sizes) == 1 else None
    try:
        vocabulary = datamodule.vocabulary
    except FileNotFoundError:
        if dataset.get("root") is not None:
            datamodule.prepare_data()
            vocabulary = datamodule.vocabulary
        elif len(sizes) != 1:
            raise ConfigError(
                f"{path} was not trained on '{name}': its objects have {len(sizes)} attributes, those of '{name}' one. "
                "Name the data set that it was trained on, e.g. dataset=cater."
            ) from None
        else:
            vocabulary = one_attribute_vocabulary(sizes[0], own)
            if own is None:
                say(f"{path} does not name its {sizes[0] - 1} categories; they are called category_1, category_2, ...")
    if own is not None and own != vocabulary.attributes[0][1]:
        raise ConfigError(
            f"{path} was trained on other categories, or in another order, than those of '{name}'; leave dataset.root "
            "out to take the checkpoint's own."
        )
    try:
        networks.vocabulary(vocabulary)
    except ValueError as error:
        raise ConfigError(f"{path} was not trained on '{name}': {error}") from error
    return datamodule.info_with(vocabulary)


def _report(path: Path, file: ReferenceFile, key_map: str) -> None:
    lines = key_map.splitlines()
    unread = [line.split(" ")[0] for line in lines if line.endswith("-> nothing")]
    aside = ", ".join([*unread, *file.others]) or "nothing"
    optional = "" if file.critic is not None else ", which holds no discriminator"
    say(f"Read {len(lines) - len(unread)} tensors of {path}{optional}; left aside: {aside}.")
