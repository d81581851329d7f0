"""What an evaluation of video that can be steered finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.video.report import write_report
from mutoscope.structures import VideoBatch, VideoSample


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoEvaluation(Evaluation):
    """What a model sees and draws, and whether it obeys, with clips to look at.

    Args:
        task, protocol, tables, caveats: see :class:`~mutoscope.kinds.results.Evaluation`.
        shown: what the model made of a few clips, by what it was given.
        clips: these clips.
    """

    shown: Mapping[str, VideoSample]
    clips: VideoBatch

    def publish(self, out: Path) -> list[Path]:
        """``media/`` with real, drawn and steered clips and figures, and ``report.html``, which shows them."""
        return [out / "media", write_report(out, self, self.shown, self.clips)]
