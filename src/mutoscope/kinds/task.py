"""What the work of a kind starts from: a model that was loaded, and what an evaluation is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from mutoscope.config.assembly import load_model, same_data
from mutoscope.config.measures import Metrics, RecognizerConfig, SetSettings
from mutoscope.config.nodes import build
from mutoscope.data.datamodule import DataModule
from mutoscope.formats.about import TrainedConfig
from mutoscope.formats.missing import find_checkpoint
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.seeding import seeded
from mutoscope.structures import DatasetInfo
from mutoscope.training.trainer import place


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A trained model with where it comes from.

    Args:
        module: in evaluation mode.
        config: of its training: ``model``, ``dataset``, and for a run's checkpoint all other ``settings``.
        path: of the checkpoint file or the exported folder.
        device: where it works.
    """

    module: GenerativeModule
    config: TrainedConfig
    path: Path
    device: torch.device

    @classmethod
    def open(cls, path: str | Path, accelerator: str | torch.device = "auto") -> Self:
        """Load a checkpoint, an exported folder, or the last checkpoint of a run directory.

        Args:
            path: of any of them.
            accelerator: ``auto`` (a GPU where there is one), ``cpu``, ``gpu``, or a device.

        Raises:
            CheckpointError: if it is none of these, or nothing that can be loaded.
        """
        found = find_checkpoint(Path(path))
        module, config = load_model(found)
        device = place(accelerator) if isinstance(accelerator, str) else accelerator
        return cls(module.to(device), config, found, device)

    @property
    def info(self) -> DatasetInfo:
        """What the model knows of its data: classes, skeleton or vocabulary, frame size, length, fps."""
        return self.module.info

    @property
    def trained_on(self) -> Mapping[str, Any]:
        """Settings of the dataset that it was trained on, as its file has them; nothing in them was checked."""
        return self.config.dataset

    @property
    def kind(self) -> str:
        """Name of the kind of data it makes."""
        return self.module.takes


@dataclass(frozen=True)
class EvaluationSettings:
    """What an evaluation is asked to do.

    Args:
        metrics: config nodes by name.
        recognizer: how the network that metrics look through is trained, where the kind has one.
        options: those of the kind.
        split: that is held out.
        samples_per_class: that are generated.
        controllability: cases of every question of :mod:`mutoscope.kinds.controllability`; 0 for none.
        seed: of the draw of real clips, and of what is generated unless there are ``seeds``.
        seeds: of what is generated; rows of models are over all of them.
        sets: what is told of sets of clips beside their distances.
        strict: let errors of metrics through, for finding their cause.
        command: that repeats the evaluation.
    """

    metrics: Metrics
    recognizer: RecognizerConfig | None
    options: Any
    split: str
    samples_per_class: int
    controllability: int
    seed: int
    seeds: Sequence[int]
    strict: bool
    command: str
    sets: SetSettings = field(default_factory=SetSettings)


@dataclass(frozen=True)
class EvaluationTask:
    """Everything an evaluation is made from.

    Args:
        models: checkpoints of one model, which share a row; the first is the one that is shown.
        datamodule: set up; of the data that the models know.
        settings: what is asked.
    """

    models: Sequence[LoadedModel]
    datamodule: DataModule
    settings: EvaluationSettings

    @property
    def model(self) -> LoadedModel:
        """The one that is shown."""
        return self.models[0]

    @property
    def info(self) -> DatasetInfo:
        return self.model.info

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def paths(self) -> str | list[str]:
        """Of the checkpoints that were measured."""
        return one_or_several([str(model.path) for model in self.models])

    def untrained(self) -> GenerativeModule:
        """The model before its first iteration, with weights of the evaluation's seed."""
        with seeded(self.settings.seed, torch.device("cpu")):
            module: GenerativeModule = build(self.model.config.model, "model", info=self.info)
        return module.eval().to(self.device)

    def beside(self, checkpoints: Mapping[str, Sequence[Any]]) -> dict[str, list[LoadedModel]]:
        """Further models of the same data, by the names of their rows; see :func:`~mutoscope.kinds.beside.named`.

        Raises:
            CheckpointError: for what cannot be loaded.
            ConfigError: for models of other data.
        """
        found: dict[str, list[LoadedModel]] = {}
        for name, listed in checkpoints.items():
            for one in listed:
                model = one if isinstance(one, LoadedModel) else LoadedModel.open(one, self.device)
                same_data(self.datamodule.info, model.info, f"checkpoint {model.path}, which beside calls '{name}',")
                found.setdefault(name, []).append(model)
        return found


def one_or_several(paths: list[str]) -> str | list[str]:
    """As people type them: one path alone, several in a list."""
    return paths[0] if len(paths) == 1 else paths
