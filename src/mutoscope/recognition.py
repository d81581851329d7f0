"""The recogniser of a dataset: trained once, cached by what it depends on, its hash recorded with every number."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mutoscope.callbacks.run_log import RunLog
from mutoscope.config import build
from mutoscope.console import say
from mutoscope.data.datamodule import DataModule
from mutoscope.data.motion import default_cache
from mutoscope.engine import make_trainer
from mutoscope.formats.files import replacing
from mutoscope.models.recognizer.module import Recognizer
from mutoscope.models.recognizer.network import RecognizerNet


@dataclass(frozen=True)
class TrainedRecognizer:
    """A frozen recogniser with where it comes from.

    Args:
        network: in evaluation mode.
        sha256: of its weights.
        accuracy: on the validation split, 0..1.
    """

    network: RecognizerNet
    sha256: str
    accuracy: float


def recognizer_for(
    datamodule: DataModule, config: Mapping[str, Any], cache_dir: Path | None = None
) -> TrainedRecognizer:
    """The recogniser for the data of a set-up DataModule, from the cache or trained now.

    Args:
        datamodule: after ``setup()``.
        config: ``{max_steps, batch_size, model}`` with ``model`` a config node of a :class:`Recognizer`.
        cache_dir: ``default_cache()`` unless given.
    """
    info = datamodule.info
    key_parts = {"config": dict(config), "info": info.to_dict(), "data": datamodule.fingerprint}
    key = hashlib.sha256(json.dumps(key_parts, sort_keys=True).encode()).hexdigest()[:16]
    folder = (cache_dir or default_cache()) / "recognizers"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{info.name}-{key}.safetensors"
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            _train(datamodule, config, path)
    module: Recognizer = build(config["model"], "recognizer.model", info=info)
    module.network.load_state_dict(load_file(path))
    with safe_open(path, framework="pt") as file:
        accuracy = float(file.metadata()["val_accuracy"])
    network = module.network.eval().requires_grad_(False)
    return TrainedRecognizer(network, hashlib.sha256(path.read_bytes()).hexdigest(), accuracy)


def _train(datamodule: DataModule, config: Mapping[str, Any], path: Path) -> None:
    say(f"Training the action recogniser for {datamodule.info.name} (once; then it is taken from {path.parent}).")
    module: Recognizer = build(config["model"], "recognizer.model", info=datamodule.info)
    before = datamodule.batch_size, datamodule.start_batch
    datamodule.batch_size, datamodule.start_batch = config["batch_size"], 0
    state = torch.get_rng_state()
    try:
        torch.manual_seed(module.seed)
        trainer = make_trainer(
            max_steps=config["max_steps"],
            callbacks=[RunLog(50)],
            loggers=[],
            run_dir=str(path.parent),
            checkpoint_every_n_steps=config["max_steps"],
        )
        trainer.fit(module, train_dataloaders=datamodule.train_dataloader())
        accuracy = validation_accuracy(module.network, datamodule)
    finally:
        datamodule.batch_size, datamodule.start_batch = before
        torch.set_rng_state(state)
    say(f"The recogniser names {accuracy:.1%} of the validation clips rightly.")
    weights = {name: value.contiguous().cpu() for name, value in module.network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(weights, temporary, metadata={"val_accuracy": repr(accuracy)})


@torch.inference_mode()
def validation_accuracy(network: RecognizerNet, datamodule: DataModule) -> float:
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
