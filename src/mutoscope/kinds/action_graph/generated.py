"""Video generated from action graphs, to be written as videos, pictures, graphs and layouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from mutoscope.formats.graph_files import write_action_graph
from mutoscope.kinds.action_graph.media import save_comparison, save_variants
from mutoscope.kinds.results import Generated
from mutoscope.render.sheet import save_png
from mutoscope.runtime.console import say
from mutoscope.runtime.files import replacing
from mutoscope.structures import ActionGraph, ActionGraphSample


@dataclass(frozen=True)
class Variant:
    """One video that is asked for.

    Args:
        name: that its files begin with.
        graph: what happens in it.
    """

    name: str
    graph: ActionGraph


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedVideo(Generated):
    """A clip for every graph and every shift asked for, all from the same first frame.

    Args:
        sample: the clips, as long as the longest graph.
        variants: what was asked for, one per clip.
        first_frame: ``[3, h, w]`` uint8.
        compared: a true clip and what was made of its graph, where a clip of the data was asked for.
        given: files that were asked with; they are not written over.
    """

    sample: ActionGraphSample
    variants: Sequence[Variant]
    first_frame: Tensor
    compared: ActionGraphSample | None = None
    given: frozenset[Path] = frozenset()

    def describe(self) -> str:
        return f"{len(self.variants)} clip(s) of {self.sample.fake.shape[1]} frames"

    def write(self, out: Path, *, gif: bool) -> list[Path]:
        """For each clip ``<name>.mp4``, ``<name>_boxes.mp4``, ``<name>_graph.png``, ``<name>.yaml`` (the graph) and
        ``<name>_layout.npy`` ``[n, t, 4]``; ``first_frame.png``; ``side_by_side.mp4`` where there are several; and
        beside a true clip ``<name>_compared.mp4``.
        """
        sample, asked = self.sample, self.sample.asked
        out.mkdir(parents=True, exist_ok=True)
        # what somebody wrote into this folder themselves, and now asks with, stays as it is
        if (out / "first_frame.png").resolve() not in self.given:
            save_png(out / "first_frame.png", self.first_frame.permute(1, 2, 0).numpy())
        for number, variant in enumerate(self.variants):
            if (out / f"{variant.name}.yaml").resolve() not in self.given:
                write_action_graph(out / f"{variant.name}.yaml", variant.graph)
            boxes = sample.boxes[asked.graph.nodes_of(number), : variant.graph.length]
            with replacing(out / f"{variant.name}_layout.npy") as temporary, temporary.open("wb") as file:
                np.save(file, boxes.numpy(), allow_pickle=False)
        if not sample.drawn:
            say(
                "This model lays out boxes and draws no frames (model.frames=null); videos show boxes on the first "
                "frame."
            )
        paths = save_variants(out, sample, [variant.graph for variant in self.variants], gif=gif)
        if self.compared is not None:
            paths += save_comparison(out, self.compared, names=[f"{self.variants[0].name}_compared"])
        return paths
