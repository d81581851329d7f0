"""Videos and scenes in the tree that CATER is distributed in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mutoscope.data.action_graph.toy_blocks_world.camera import HEIGHT, WIDTH
from mutoscope.data.action_graph.toy_blocks_world.choreography import Play, perform
from mutoscope.data.action_graph.toy_blocks_world.film import Film
from mutoscope.data.action_graph.toy_blocks_world.light import Lamps
from mutoscope.formats.cater import RAW_FPS, RAW_FRAMES
from mutoscope.runtime.files import replacing

#: raised whenever the same seed gives another video than before
WORLD_VERSION = 1
#: quantiser of MPEG-4, 1 (best) to 31
_QUANTISER = 3


@dataclass(frozen=True)
class Order:
    """A video to be made.

    Args:
        root: folder of the tree.
        name: of the video.
        seed: non-negative integers on which alone the video depends.
    """

    root: Path
    name: str
    seed: tuple[int, ...]

    @property
    def video(self) -> Path:
        return self.root / "videos" / f"{self.name}.avi"

    @property
    def scene(self) -> Path:
        return self.root / "scenes" / f"{self.name}.json"

    @property
    def done(self) -> bool:
        """Whether both files are there; the scene is written last."""
        return self.scene.exists() and self.video.exists()


def make(order: Order) -> None:
    """Write the video (320x240, 301 frames, MPEG-4 in AVI) and its scene, each atomically."""
    play = perform([*order.seed, 0])
    film = Film(play, Lamps.draw(np.random.default_rng([*order.seed, 1])))
    # FFmpeg tells the format by the ending, which temporary files lack
    with replacing(order.video) as temporary, av.open(str(temporary), "w", format="avi") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(RAW_FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.qmin = stream.codec_context.qmax = _QUANTISER
        stream.codec_context.thread_count = 1
        for picture in film.frames():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    with replacing(order.scene) as temporary:
        temporary.write_text(json.dumps(scene_of(play, order.name)), encoding="utf-8")


def scene_of(play: Play, name: str) -> dict[str, Any]:
    """The scene file of a play: objects with their places in all frames, and their movements."""
    instances = play.instances
    objects = [
        {
            "instance": instance,
            "shape": block.shape,
            "size": block.size,
            "color": block.color,
            "material": block.material,
            "locations": {str(f): [round(float(x), 4) for x in play.places[f, i]] for f in range(RAW_FRAMES)},
        }
        for i, (instance, block) in enumerate(zip(instances, play.blocks, strict=True))
    ]
    movements = {
        instance: [
            [action, None if other is None else instances[other], first, last] for action, other, first, last in moves
        ]
        for instance, moves in zip(instances, play.movements, strict=True)
    }
    return {"image_filename": f"{name}.avi", "objects": objects, "movements": movements}


def write_list(path: Path, names: Sequence[str]) -> None:
    """Write a split list: one line for each video, its file and the ids of its classes, which nobody reads."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{name}.avi 0\n" for name in names), encoding="utf-8")
