"""The scenes of many CATER videos as one table, parsed once, and the windows cut from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.clips import Clip, ClipSource
from mutoscope.formats.arrays import read_arrays
from mutoscope.formats.cater import CaterScene, window_actions
from mutoscope.runtime.files import replacing
from mutoscope.structures import CATER_VOCABULARY

#: raw frames between two frames of a clip: 24 frames per second become 8
STRIDE = 3
_ARRAYS = ("names", "nodes", "edges", "attributes", "boxes", "actions")


@dataclass(frozen=True)
class SceneTable(ClipSource):
    """Scenes end to end; all have the same number of raw frames.

    Args:
        names: of the videos, ``v`` of them.
        nodes, edges: ``[v]`` int64, how many nodes (the image among them) and actions a video has.
        attributes: ``[n, 4]`` int64, nodes of all videos.
        boxes: ``[n, f, 4]`` float32.
        actions: ``[a, 5]`` int64 (subject, action, object, first raw frame, last raw frame), actions of all videos;
            nodes are numbered within their video.
    """

    names: tuple[str, ...]
    nodes: NDArray[np.int64]
    edges: NDArray[np.int64]
    attributes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    actions: NDArray[np.int64]

    @classmethod
    def of(cls, scenes: Sequence[tuple[str, CaterScene]]) -> "SceneTable":
        """A table of named scenes, at least one."""
        return cls(
            names=tuple(name for name, _ in scenes),
            nodes=np.array([len(scene.attributes) for _, scene in scenes], dtype=np.int64),
            edges=np.array([len(scene.actions) for _, scene in scenes], dtype=np.int64),
            attributes=np.concatenate([scene.attributes for _, scene in scenes]),
            boxes=np.concatenate([scene.boxes.swapaxes(0, 1) for _, scene in scenes]),
            actions=np.concatenate([scene.actions for _, scene in scenes]),
        )

    @classmethod
    def load(cls, path: Path) -> "SceneTable":
        """Read a table.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged.
        """
        if not path.is_file():
            raise FileNotFoundError(f"There are no prepared scenes at {path}; call prepare_data() first.")
        try:
            arrays: dict[str, Any] = read_arrays(path, _ARRAYS)
            table = cls(**arrays | {"names": tuple(arrays["names"].tolist())})
            table._check()
        except ValueError as error:
            raise ValueError(
                f"The scenes at {path} are damaged ({error}); delete the file and prepare again."
            ) from error
        return table

    def save(self, path: Path) -> None:
        """Write the table, atomically."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                names=np.array(self.names),
                nodes=self.nodes,
                edges=self.edges,
                attributes=self.attributes,
                boxes=self.boxes,
                actions=self.actions,
            )

    def _check(self) -> None:
        """Whether the arrays fit together and mean something; a ``ValueError`` says what does not."""
        whole = (self.nodes, self.edges, self.attributes, self.actions)
        if any(array.dtype != np.int64 for array in whole) or self.boxes.dtype != np.float32:
            raise ValueError("its numbers are of another type than were written")
        v, n, a = len(self.names), len(self.attributes), len(self.actions)
        if self.nodes.shape != (v,) or self.edges.shape != (v,) or min(self.nodes.min(), self.edges.min()) < 1:
            raise ValueError("its counts do not go with its names")
        if (self.nodes.sum(), self.edges.sum()) != (n, a) or self.boxes.ndim != 3 or len(self.boxes) != n:
            raise ValueError("its counts do not go with what they count")
        words = [len(values) for _, values in CATER_VOCABULARY.attributes]
        if self.attributes.shape[1:] != (len(words),) or self.boxes.shape[2:] != (4,) or self.actions.shape[1:] != (5,):
            raise ValueError("its arrays have other shapes than were written")
        if (self.attributes < 0).any() or (self.attributes >= words).any() or not np.isfinite(self.boxes).all():
            raise ValueError("it holds attributes or boxes that there cannot be")
        subject, action, other, first, last = self.actions.T
        nodes = np.repeat(self.nodes, self.edges)
        most = np.stack(
            [nodes, np.full(a, len(CATER_VOCABULARY.actions)), nodes, last + 1, np.full(a, self.raw_frames)]
        )
        if (self.actions < 0).any() or (np.stack([subject, action, other, first, last]) >= most).any():
            raise ValueError("it holds actions that there cannot be")

    @property
    def raw_frames(self) -> int:
        return self.boxes.shape[1]

    def scene(self, video: int) -> CaterScene:
        """One scene, its arrays being views."""
        node, edge = self._first_node[video], self._first_edge[video]
        nodes, edges = slice(node, node + self.nodes[video]), slice(edge, edge + self.edges[video])
        return CaterScene(self.attributes[nodes], self.boxes[nodes].swapaxes(0, 1), self.actions[edges])

    def starts(self, video: int, length: int) -> NDArray[np.int64]:
        """Windows that begin at 0 or later, end with the last action at the latest and meet an action at all."""
        first, last = self.scene(video).actions[:, 3:].T
        span = length * STRIDE
        starts = np.arange(min(int(last.max()), self.raw_frames - 1) - span + 1)
        meets = (first[:, None] <= starts + span) & (last[:, None] >= starts)
        return starts[meets.any(axis=0)]

    def test_start(self, video: int, length: int) -> int | None:
        """Where the first action begins, unless the last ends before the window does."""
        first, last = self.scene(video).actions[:, 3:].T
        start = int(first.min())
        return start if start + length * STRIDE <= last.max() else None

    def cut(self, video: int, start: int, length: int) -> Clip:
        """Every third frame of a window; every object is in the image."""
        scene, end = self.scene(video), start + length * STRIDE
        raw = np.arange(start, end, STRIDE)
        acts = window_actions(scene.actions, scene.boxes, start, end)
        image = len(scene.attributes) - 1
        objects = np.arange(image)
        in_image = (objects, np.full(image, CATER_VOCABULARY.in_image), np.full(image, image))
        return Clip(
            attributes=scene.attributes,
            boxes=scene.boxes[raw].swapaxes(0, 1),
            relations=np.stack(in_image, axis=1),
            subject=acts.subject,
            action=acts.action,
            object=acts.object,
            progress=acts.progress,
            destination=acts.destination,
            raw=raw,
            name=f"{self.names[video]}_{start}-{end}",
        )

    @cached_property
    def _first_node(self) -> NDArray[np.int64]:
        return np.cumsum(self.nodes) - self.nodes

    @cached_property
    def _first_edge(self) -> NDArray[np.int64]:
        return np.cumsum(self.edges) - self.edges
