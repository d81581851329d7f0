"""Checkpoints of the original code as models of this package, for ``export format=<model>``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from mutoscope.config.assembly import check_weights, model_class
from mutoscope.config.choices import config_dir
from mutoscope.config.nodes import build, build_dataset
from mutoscope.data.action_graph.clips import ActionGraphDataModule
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.about import TrainedConfig
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.originals import Original, Told
from mutoscope.models.registry import importers
from mutoscope.models.seeding import seeded
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import ActionVocabulary, DatasetInfo


@dataclass(frozen=True)
class ConvertedModel:
    """A model of this package with the weights of an original.

    Args:
        model: in evaluation mode.
        config: as a training's.
        key_map: which tensor of the original became which, a line each.
    """

    model: GenerativeModule
    config: TrainedConfig
    key_map: str


class NamedData:
    """The data set that a person named for an original; its files need not be there.

    Args:
        node: settings of the data set; ``None`` where none was named.
        typed: those of them that a person chose; a checkpoint's own win over others.
        told: what else they said.
    """

    def __init__(self, node: Mapping[str, Any] | None, typed: Mapping[str, Any], told: Told) -> None:
        self.node, self.typed, self.told = None if node is None else dict(node), typed, told

    @property
    def name(self) -> str | None:
        return None if self.node is None else str(self.node["name"])

    def setting(self, key: str) -> Any:
        return (self.node or {}).get(key)

    def settle(self, **settings: Any) -> None:
        if self.node is not None:
            self.node |= {key: value for key, value in settings.items() if key in self.node and key not in self.typed}

    def vocabulary(self) -> ActionVocabulary | None:
        assert self.node is not None
        datamodule = build_dataset(self.node)
        assert isinstance(datamodule, ActionGraphDataModule)
        try:
            return datamodule.vocabulary
        except FileNotFoundError:
            if self.node.get("root") is None:
                return None
            datamodule.prepare_data()
            return datamodule.vocabulary

    def info(self, vocabulary: ActionVocabulary | None = None) -> DatasetInfo | None:
        if self.node is None:
            return None
        datamodule = build_dataset(self.node)
        if isinstance(datamodule, ActionGraphDataModule):
            return datamodule.info_with(vocabulary or datamodule.vocabulary)
        if self.node.get("root", "") is not None:
            datamodule.prepare_data()
            datamodule.setup("fit")
        info: DatasetInfo = datamodule.info
        return info


def convert(name: str, path: Path, dataset: Mapping[str, Any], typed: Mapping[str, Any], told: Told) -> ConvertedModel:
    """A model from a checkpoint of its original code; says what was read and what was left aside.

    Args:
        name: of the model.
        path: the checkpoint.
        dataset: node of the data set it was trained on, whose data need not be there.
        typed: those settings of the node that a person chose; an entry ``""`` says that they chose the set itself.
        told: what they said beside it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint of this model's original.
        ConfigError: if it was not trained on this data set, or somebody has to say more.
    """
    cls = importers()[name]
    # nobody chose the data set that stands in the config: it is that of the models of its kind
    meant = bool(typed) or datamodule_class(dataset["name"]).kind == cls.takes
    if meant and (kind := datamodule_class(dataset["name"]).kind) != cls.takes:
        raise ConfigError(
            f"{cls.__name__} takes {cls.takes} data, but dataset '{dataset['name']}' yields {kind}; name the one it "
            "was trained on."
        )
    data = NamedData(dataset if meant else None, typed, told)
    original = cls.from_original(path, data)
    node = _merged(_defaults(name, cls), {**original.settings, "ema_half_life": None})
    if "discriminator" in original.lacking and "discriminator" in original.settings:
        node["discriminator"] = None
    with seeded(0, torch.device("cpu")):
        model: GenerativeModule = build(node, "model", info=original.info)
    mine = model.state_dict()
    begun = {key: x for key, x in mine.items() if key.startswith(tuple(f"{part}." for part in original.lacking))}
    weights = {**begun, **original.weights}
    check_weights(model, weights, str(path))
    model.load_state_dict(weights)
    model.iterations = original.iterations
    _report(path, original)
    config = TrainedConfig.of({"model": node, "dataset": data.node or _unnamed(original)})
    return ConvertedModel(model.eval(), config, original.key_map)


def _unnamed(original: Original) -> dict[str, Any]:
    """Settings of a data set that nobody named: whoever evaluates names one, cut as the original's was."""
    info = original.info
    return {"name": info.name, "length": info.length, "fps": info.fps, "channels": info.channels}


def _defaults(name: str, cls: type[GenerativeModule]) -> dict[str, Any]:
    """The settings of a model that nobody chose."""
    file = config_dir() / "model" / f"{name}.yaml"
    if not file.is_file():
        return {"_target_": f"{cls.__module__}.{cls.__qualname__}", "optimizers": {}}
    loaded: Any = OmegaConf.load(file)
    node = OmegaConf.to_container(OmegaConf.create({"seed": 0, "model": loaded.get("model", loaded)}), resolve=True)
    assert isinstance(node, dict)
    settings = {str(key): value for key, value in node["model"].items()}
    assert model_class(settings) is cls
    return settings


def _merged(node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes, also in the nodes below."""
    inner = {key: _merged(node[key], value) for key, value in changes.items() if isinstance(value, Mapping)}
    return {**node, **changes, **inner}


def _report(path: Path, original: Original) -> None:
    lines = original.key_map.splitlines()
    unread = [line.split(" ")[0] for line in lines if line.endswith("-> nothing")]
    aside = ", ".join([*unread, *original.others]) or "nothing"
    lacking = f", which holds no {' and no '.join(original.lacking)}" if original.lacking else ""
    say(f"Read {len(lines) - len(unread)} tensors of {path}{lacking}; left aside: {aside}.")
