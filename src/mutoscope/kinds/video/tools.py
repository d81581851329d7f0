"""Video that can be steered: what measuring, showing, evaluating and asking mean for it."""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchmetrics import Metric

from mutoscope.config.measures import Metrics, RecognizerConfig
from mutoscope.data.datamodule import DataModule
from mutoscope.data.sampling import clips_of
from mutoscope.kinds.base import CardText, Measurement
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.task import EvaluationTask, LoadedModel
from mutoscope.kinds.video.figures import action_gallery, layers, overview, save_figures, shift_grid
from mutoscope.kinds.video.generation import steerable
from mutoscope.kinds.video.measure import MEASURED, chunks, named_sample, video_metrics
from mutoscope.kinds.video.media import save_comparison
from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import VideoBatch, VideoSample
from mutoscope.training.callbacks.media import Gallery

if TYPE_CHECKING:
    from mutoscope.kinds.results import Generated

#: of the figures while a model trains, as in the original's
_STEPS = 7


class SteeredGallery:
    """Real and generated clips of the validation split and the model's masks side by side, and what it can be told.

    Args:
        datamodule: set up.
    """

    def __init__(self, datamodule: DataModule) -> None:
        self.datamodule = datamodule

    def conditions(self, count: int) -> VideoBatch:
        batch: VideoBatch = clips_of(self.datamodule, "val", limit=count)
        return batch

    def save(self, folder: Path, sample: VideoSample, count: int) -> list[Path]:
        return save_comparison(folder, sample, [f"clip{number}" for number in range(len(sample.fake))])

    def figures(self, folder: Path, model: GenerativeModule, count: int) -> list[Path]:
        """Overview of the first clip, the five shifts and all actions from the first frames (spec section 6)."""
        able, clips = steerable(model), self.conditions(count)
        found = {
            "overview": overview(able, clips),
            "shifts": shift_grid(able, clips, _STEPS),
            "actions": action_gallery(able, clips, _STEPS),
            "layers": layers(able, clips),
        }
        return save_figures(
            folder, {name: figure for name, figure in found.items() if figure is not None}, able.info.fps
        )


class VideoTools:
    """See :class:`~mutoscope.kinds.base.KindTools`."""

    groups: Mapping[str, str] = {"metrics": "video", "recognizer": "none"}
    measured: Sequence[str] = MEASURED

    def metrics(self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None) -> dict[str, Metric]:
        return video_metrics(datamodule, nodes)

    def measurement(
        self, datamodule: DataModule, nodes: Metrics, recognizer: RecognizerConfig | None, samples: int
    ) -> Measurement:
        clips: VideoBatch = clips_of(datamodule, "val", limit=samples * max(1, datamodule.info.num_classes))
        metrics = video_metrics(datamodule, nodes)
        # looking again at all that was drawn costs as much as drawing it: evaluations do
        kept = {name: m for name, m in metrics.items() if "drawn_masks" not in signature(type(m).update).parameters}
        return Measurement(kept, chunks(clips), named_sample, None)

    def gallery(self, datamodule: DataModule) -> Gallery:
        return SteeredGallery(datamodule)

    def generate(self, model: LoadedModel, request: Any, *, seed: int) -> "Generated":
        from mutoscope.kinds.video.generation import generate_steered

        return generate_steered(model, request)

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        from mutoscope.kinds.video.evaluation import evaluate_video

        return evaluate_video(task)

    def card(self, model: GenerativeModule, name: str, evaluate: str) -> CardText:
        info = model.info
        height, width = info.need_frame_size()
        return CardText(
            tag="video-generation",
            clips=f"{info.length} frames of {width}x{height} pixels at {info.fps:g} fps",
            facts={"Steered by": "pixels right, pixels down, and one of its local actions, step by step"},
            body=f"""## Use

```bash
mutoscope generate checkpoint={name} image=start.png actions='[[8,0,2],[8,0,2],[0,0,5]]'
{evaluate}
```

```python
import mutoscope as ms

session = ms.load("{name}").module.start(image)  # [3, {height}, {width}] uint8
frame = session.step(8, 0, action=2)
```
""",
        )
