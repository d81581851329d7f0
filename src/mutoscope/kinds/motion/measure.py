"""Clips and samples by the names that metrics of motion ask for, and those metrics."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.trained import TrainedRecognizer, recognizer_for
from mutoscope.metrics.common import Recognizer
from mutoscope.metrics.motion import RecognitionAccuracy
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import MotionBatch, MotionSample

#: samples generated from one seed
CHUNK = 32


#: real clips that samples are held against while training runs
REFERENCE_CLIPS = 2000


def class_labels(classes: int, per_class: int) -> Tensor:
    """``[classes * per_class]``: 0..K-1, then 0..K-1 again, so that any prefix is nearly balanced."""
    return torch.arange(classes).repeat(per_class)


def named_sample(sample: MotionSample) -> dict[str, Any]:
    """A sample by the names that motion metrics ask for."""
    return {"joints": sample.fake, "label": sample.label, "real": False}


def named_clips(batch: MotionBatch) -> dict[str, Any]:
    """Real clips by the names that motion metrics ask for."""
    return {"joints": batch.joints, "label": batch.label, "mask": batch.mask, "real": True}


class Recognizers:
    """The recognisers of a dataset, each opened or trained once.

    Args:
        datamodule: set up.
        usual: how that is trained which is asked for by nobody's settings; ``None`` for none.
    """

    def __init__(self, datamodule: DataModule, usual: RecognizerConfig | None) -> None:
        self.datamodule, self.usual = datamodule, usual
        self._trained: dict[str, TrainedRecognizer] = {}

    def __call__(self, own: Mapping[str, Any] | None = None) -> TrainedRecognizer:
        """The usual one, or one with settings of its own.

        Raises:
            ConfigError: if there is no usual one.
        """
        settings = RecognizerConfig.parse(own) if own else self.usual
        if settings is None:
            raise ConfigError("A metric asks for a recogniser, but recognizer is null; choose one: recognizer=st_gcn.")
        key = _key(settings)
        if key not in self._trained:
            self._trained[key] = recognizer_for(self.datamodule, settings)
        return self._trained[key]

    @property
    def at_hand(self) -> TrainedRecognizer | None:
        """The usual one, if somebody has asked for it: training one takes minutes."""
        return None if self.usual is None else self._trained.get(_key(self.usual))


def _key(settings: RecognizerConfig) -> str:
    return json.dumps(settings.plain(), sort_keys=True)


def content_of(clips: MotionBatch, classes: Sequence[str]) -> str:
    """Fingerprint of clips and the names of their classes, wherever they lie and in whatever order."""
    found = []
    for joints, label in zip(clips.joints.float(), clips.label.tolist(), strict=True):
        about = f"{tuple(joints.shape)} {classes[label]}".encode()
        found.append(hashlib.sha256(about + joints.contiguous().numpy().tobytes()).digest())
    return hashlib.sha256(b"".join(sorted(found))).hexdigest()[:16]


def motion_metrics(
    nodes: Metrics, recognizers: Recognizers, training: Tensor | None = None
) -> tuple[dict[str, Metric], dict[str, TrainedRecognizer]]:
    """The metrics of a config with what they look through; recognisers are trained only if a metric asks for one.

    Args:
        nodes: of the metrics, by name. A metric may say in ``recognizer`` how one of its own is trained.
        recognizers: of the data.
        training: joints of all training clips; taken from the data where they are not at hand.

    Returns:
        Metrics by name, and by the same names the recognisers of those that count what is recognised.
    """
    datamodule = recognizers.datamodule

    def network(own: Mapping[str, Any] | None) -> Recognizer:
        return recognizers(own).network

    def reference() -> Tensor:
        joints: Tensor = clips_of(datamodule, "train").joints if training is None else training
        return joints

    metrics = build_metrics(nodes, Provided(datamodule.info, {"reference": reference}, {"recognizer": network}))
    counting = [name for name, metric in metrics.items() if isinstance(metric, RecognitionAccuracy)]
    own = {name: node.get("recognizer") for name, node in nodes.items() if node is not None and name in counting}
    return metrics, {name: recognizers(node) for name, node in own.items()}
