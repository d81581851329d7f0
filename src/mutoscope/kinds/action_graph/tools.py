"""Video from action graphs: graphs and first frames in, clips out, measured against the true clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.action_graph.measure import action_graph_metrics, chunks, named_sample
from mutoscope.kinds.action_graph.media import save_comparison
from mutoscope.kinds.base import CardText, Measurement
from mutoscope.kinds.task import EvaluationTask, LoadedModel
from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import ActionGraphBatch, ActionGraphSample
from mutoscope.training.callbacks.media import Gallery

if TYPE_CHECKING:
    from mutoscope.kinds.action_graph.generated import GeneratedVideo
    from mutoscope.kinds.action_graph.results import ActionGraphEvaluation


class VideoGallery:
    """True and generated clips of the validation split side by side.

    Args:
        datamodule: set up.
    """

    def __init__(self, datamodule: DataModule) -> None:
        self.datamodule = datamodule

    def conditions(self, count: int) -> ActionGraphBatch:
        batch: ActionGraphBatch = clips_of(self.datamodule, "val", limit=count)
        return batch

    def save(self, folder: Path, sample: ActionGraphSample, count: int) -> list[Path]:
        return save_comparison(folder, sample)


class ActionGraphTools:
    """See :class:`~mutoscope.kinds.base.KindTools`."""

    groups: Mapping[str, str] = {"metrics": "action_graph", "recognizer": "tracks"}
    measured: Sequence[str] = (
        "fake_frames",
        "real_frames",
        "fake_boxes",
        "real_boxes",
        "real_nodes",
        "moving",
        "graph",
    )

    def measurement(
        self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None, samples: int
    ) -> Measurement:
        metrics = action_graph_metrics(datamodule, nodes, recognizer)
        wanted = samples * datamodule.info.num_classes
        clips: ActionGraphBatch = clips_of(datamodule, "val", limit=wanted)
        return Measurement(metrics, chunks(clips), named_sample, None)

    def gallery(self, datamodule: DataModule) -> Gallery:
        return VideoGallery(datamodule)

    def generate(self, model: LoadedModel, request: Any, *, seed: int) -> "GeneratedVideo":
        from mutoscope.kinds.action_graph.generation import generate_video

        return generate_video(model, request, seed)

    def evaluate(self, task: EvaluationTask) -> "ActionGraphEvaluation":
        from mutoscope.kinds.action_graph.evaluation import evaluate_action_graphs

        return evaluate_action_graphs(task)

    def metrics(self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None) -> dict[str, Metric]:
        return action_graph_metrics(datamodule, nodes, recognizer)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        from mutoscope.kinds.action_graph.card import action_graph_card

        return action_graph_card(model.info, name, evaluate, drawn=getattr(model, "draws", True))
