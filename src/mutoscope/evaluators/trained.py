"""The networks metrics look through: trained once per dataset, cached by what they depend on, with their hash.

Motion is seen through action recognisers, layouts of action graphs through a classifier of box tracks.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from mutoscope.config.measures import RecognizerConfig
from mutoscope.config.nodes import build
from mutoscope.data.datamodule import DataModule
from mutoscope.formats.state_dicts import DamagedFileError, read_safetensors
from mutoscope.metrics.common import Recognizer
from mutoscope.models.recognizer.module import ActionClassifier
from mutoscope.models.track_classifier.module import TrackClassifier
from mutoscope.models.track_classifier.network import TrackClassifierNet
from mutoscope.runtime.cache import default_cache
from mutoscope.runtime.console import say
from mutoscope.runtime.files import replacing
from mutoscope.training.callbacks.run_log import RunLog
from mutoscope.training.trainer import fit, make_trainer

Network = TypeVar("Network")


@dataclass(frozen=True)
class Trained(Generic[Network]):
    """A frozen network with where it comes from.

    Args:
        network: in evaluation mode.
        sha256: of its weights.
        accuracy: on the validation split, 0..1.
        title: what it is.
    """

    network: Network
    sha256: str
    accuracy: float
    title: str


TrainedRecognizer = Trained[Recognizer]
TrainedTrackClassifier = Trained[TrackClassifierNet]


def recognizer_for(
    datamodule: DataModule, config: RecognizerConfig, cache_dir: Path | None = None
) -> TrainedRecognizer:
    """A recogniser for the motion of a set-up DataModule, from the cache or trained now.

    Args:
        datamodule: after ``setup()``.
        config: how it is trained; its model is an :class:`ActionClassifier`.
        cache_dir: ``default_cache()`` unless given.
    """
    return _trained(datamodule, config, cache_dir, "recognizers", "clips", validation_accuracy)


def track_classifier_for(
    datamodule: DataModule, config: RecognizerConfig, cache_dir: Path | None = None
) -> TrainedTrackClassifier:
    """The classifier of box tracks for the action graphs of a set-up DataModule, from the cache or trained now.

    Args:
        datamodule: after ``setup()``; its training batches have layout clips.
        config: how it is trained; its model is a :class:`TrackClassifier`.
        cache_dir: ``default_cache()`` unless given.
    """
    return _trained(datamodule, config, cache_dir, "track_classifiers", "edges", track_accuracy)


def _trained(
    datamodule: DataModule,
    config: RecognizerConfig,
    cache_dir: Path | None,
    group: str,
    named: str,
    accuracy_of: Callable[[Any, DataModule], float],
) -> Trained[Any]:
    """From the folder ``group`` of the cache, or trained now; how many of what is ``named`` it gets right is said."""
    info = datamodule.info
    key_parts = {"config": config.plain(), "info": info.to_dict(), "data": datamodule.fingerprint}
    key = hashlib.sha256(json.dumps(key_parts, sort_keys=True).encode()).hexdigest()[:16]
    folder = (cache_dir or default_cache()) / group
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{info.name}-{key}.safetensors"
    module: ActionClassifier | TrackClassifier = build(config.model, "recognizer.model", info=info)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            say(f"Training the {module.title} for {info.name} (once; then it is taken from {folder}).")
            accuracy = _fit(module, datamodule, config, folder, accuracy_of)
            weights = {name: value.contiguous().cpu() for name, value in module.network.state_dict().items()}
            with replacing(path) as temporary:
                save_file(weights, temporary, metadata={"val_accuracy": repr(accuracy)})
    try:
        module.network.load_state_dict(read_safetensors(path))
        with safe_open(path, framework="pt") as file:
            accuracy = float(file.metadata()["val_accuracy"])
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise DamagedFileError(
            f"{path}, the {module.title} of this data, cannot be read; remove the file, and it is trained anew."
        ) from error
    say(f"The {module.title} names {accuracy:.1%} of the validation {named} rightly.")
    network = module.network.cpu().eval().requires_grad_(False)
    return Trained(network, hashlib.sha256(path.read_bytes()).hexdigest(), accuracy, module.title)


def _fit(
    module: ActionClassifier | TrackClassifier,
    datamodule: DataModule,
    config: RecognizerConfig,
    folder: Path,
    accuracy_of: Callable[[Any, DataModule], float],
) -> float:
    """Train for ``max_steps`` without disturbing data or random streams of the caller; the validation accuracy."""
    before = datamodule.batch_size, datamodule.start_sample
    datamodule.batch_size, datamodule.start_sample = config.batch_size, 0
    state = torch.get_rng_state()
    try:
        torch.manual_seed(module.seed)
        trainer = make_trainer(
            max_steps=config.max_steps,
            callbacks=[RunLog(50)],
            loggers=[],
            run_dir=str(folder),
            checkpoint_every_n_steps=config.max_steps,
        )
        fit(trainer, module, train_dataloaders=datamodule.train_dataloader())
        return accuracy_of(module.network, datamodule)
    finally:
        datamodule.batch_size, datamodule.start_sample = before
        torch.set_rng_state(state)


@torch.inference_mode()
def validation_accuracy(network: nn.Module, datamodule: DataModule) -> float:
    """Share of validation clips named rightly."""
    network.eval()
    device = next(network.parameters()).device
    right = total = 0
    for batch in datamodule.once("val"):
        batch = batch.to(device)
        right += int((network(batch.joints).argmax(dim=1) == batch.label).sum())
        total += len(batch)
    if total == 0:
        raise ValueError(f"Dataset '{datamodule.info.name}' has no validation clip; the recogniser cannot be tested.")
    return right / total


@torch.inference_mode()
def track_accuracy(network: TrackClassifierNet, datamodule: DataModule) -> float:
    """Share of validation edges, of those that can be judged, whose true tracks are named rightly."""
    network.eval()
    device = next(network.parameters()).device
    right = total = 0
    for batch in datamodule.once("val"):
        batch = batch.to(device)
        judged = network.judged(batch.graph)
        right += int(((network(batch.graph, batch.boxes).argmax(dim=1) == batch.graph.action) & judged).sum())
        total += int(judged.sum())
    if total == 0:
        raise ValueError(
            f"Dataset '{datamodule.info.name}' has no validation edge of which half lies inside its clip; "
            "the track classifier cannot be tested."
        )
    return right / total
