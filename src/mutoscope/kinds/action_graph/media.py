"""Videos and pictures of clips made from action graphs, for people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.render.action_graph import draw_graph, play_timeline
from mutoscope.render.boxes import draw_boxes, side_by_side
from mutoscope.render.canvas import Frames
from mutoscope.render.people import LEAST_HEIGHT, factor_for_people, for_people, frames_of
from mutoscope.render.sheet import save_png
from mutoscope.structures import ActionGraph, ActionGraphBatch, ActionGraphSample


def graph_of(batch: ActionGraphBatch, clip: int, sample: ActionGraphSample) -> ActionGraph:
    """One clip's graph in words."""
    vocabulary = sample.info.need_vocabulary()
    return ActionGraph.from_clocked(batch.graph, clip, batch.boxes, vocabulary, batch.length)


def acting(graph: ActionGraph) -> list[int]:
    """Objects that an edge names, in node order."""
    named = {name for edge in graph.edges for name in (edge.subject, edge.object)}
    return [i for i, name in enumerate(graph.names) if name in named]


def with_boxes(video: Frames, boxes: Tensor, graph: ActionGraph) -> Frames:
    """A video enlarged, with the boxes ``[n, t, 4]`` of the objects that take part in an action."""
    shown = acting(graph)
    upscale = factor_for_people(video.shape[1])
    return draw_boxes(video, boxes[shown], [graph.names[i] for i in shown], upscale=upscale)


def under_timeline(video: Frames, graph: ActionGraph) -> Frames:
    """A video with the graph's timeline below, on which a line goes along with the frames."""
    return np.concatenate([video, play_timeline(graph, video.shape[2], len(video))], axis=1)


def save_comparison(
    folder: Path, sample: ActionGraphSample, shown: int = 4, names: Sequence[str] | None = None
) -> list[Path]:
    """A video of each of the first clips: true, generated, both with their layouts, and what was asked below.

    They are called ``clip00.mp4`` and so on, unless ``names`` (without ending) are given.

    Where no frames were drawn, the predicted layout moves on the first frame.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for clip in range(min(shown, len(sample.asked))):
        graph, nodes = graph_of(sample.asked, clip, sample), sample.asked.graph.nodes_of(clip)
        fake = frames_of(sample.fake[clip])
        columns = [("generated", for_people(fake))] if sample.drawn else []
        columns.append(("predicted layout", with_boxes(fake, sample.boxes[nodes], graph)))
        if sample.real is not None:
            real = frames_of(sample.real[clip])
            columns = [
                ("true", for_people(real)),
                ("true layout", with_boxes(real, sample.asked.boxes[nodes], graph)),
                *columns,
            ]
        video = under_timeline(side_by_side(columns, least=LEAST_HEIGHT), graph)
        name = f"clip{clip:02d}" if names is None else names[clip]
        paths.append(write_mp4(folder / f"{name}.mp4", video, sample.info.fps))
    return paths


def save_variants(
    folder: Path, sample: ActionGraphSample, graphs: Sequence[ActionGraph], *, gif: bool = False
) -> list[Path]:
    """Every generated clip with and without boxes (with them only, where no frames were drawn), its graph, and all of
    them side by side.

    Args:
        folder: where to; made if missing.
        sample: one clip per graph, each at least as long as its graph; ``sample.asked.names`` are the file names.
        graphs: what was asked for.
        gif: also write GIFs of the clips, without boxes where frames were drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths, columns = [], []
    for clip, (name, graph) in enumerate(zip(sample.asked.names, graphs, strict=True)):
        video = frames_of(sample.fake[clip])[: graph.length]
        boxes = sample.boxes[sample.asked.graph.nodes_of(clip)][:, : graph.length]
        boxed = with_boxes(video, boxes, graph)
        if sample.drawn:
            paths.append(write_mp4(folder / f"{name}.mp4", video, sample.info.fps))
        paths.append(write_mp4(folder / f"{name}_boxes.mp4", under_timeline(boxed, graph), sample.info.fps))
        paths.append(save_png(folder / f"{name}_graph.png", draw_graph(graph)))
        if gif:
            paths.append(
                write_gif(folder / f"{name}.gif", for_people(video) if sample.drawn else boxed, sample.info.fps)
            )
        columns.append((name, boxed))
    if len(columns) > 1:
        paths.append(write_mp4(folder / "side_by_side.mp4", side_by_side(columns, least=LEAST_HEIGHT), sample.info.fps))
    return paths
