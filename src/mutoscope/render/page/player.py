"""The skeleton player of a report."""

import base64
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mutoscope.render.camera import Bounds, Camera, Motion, head_joint, to_world
from mutoscope.render.canvas import Array, nice_length
from mutoscope.render.page.templating import rendered
from mutoscope.render.sheet import by_class
from mutoscope.structures import DatasetInfo

if TYPE_CHECKING:
    from markupsafe import Markup


def player_html(
    fake: Motion,
    labels: Sequence[int] | Tensor | NDArray[np.integer],
    info: DatasetInfo,
    real: Motion | None,
    *,
    note: str,
    per_class: int,
    camera: Camera,
) -> "Markup":
    """Players of all classes, in step; see :meth:`~.report.Report.add_motion`."""
    skeleton = info.need_skeleton()
    groups = by_class(fake, labels, info, real, per_class)
    bounds = Bounds.around([clip for clips in groups.values() for _, clip in clips], skeleton)
    clips: list[dict[str, Any]] = []
    cards = []
    for label, members in groups.items():
        cells = []
        for source, clip in members:
            cells.append({"source": source, "clip": len(clips)})
            world = to_world(clip, skeleton)[..., : info.channels]
            clips.append({"label": label, "source": source, "frames": len(world), **_pack(world)})
        cards.append({"action": info.classes[label], "cells": cells})
    data = {
        "joints": skeleton.num_joints,
        "channels": info.channels,
        "bones": [[p, q, skeleton.side(q)] for p, q in skeleton.bones],
        "root": skeleton.root,
        "head": head_joint(skeleton),
        "fps": info.fps,
        "floor": bounds.floor,
        "stature": bounds.stature,
        "square": nice_length(bounds.stature / 4),
        "camera": {"azimuth": camera.azimuth, "elevation": camera.elevation},
        "clips": clips,
    }
    return rendered(
        "player",
        note=note,
        data=data,
        cards=cards,
        flat=info.channels == 2,
        beside=real is not None,
        follow=camera.follow,
    )


def _pack(world: Array) -> dict[str, Any]:
    """Little-endian int16 ``[t, v, c]`` in base64, and the step that turns it back into coordinates."""
    step = 10.0 ** math.ceil(math.log10(max(float(np.abs(world).max()), 1e-9) / 32767))
    counts = np.round(world / step).astype("<i2")
    return {"step": step, "data": base64.b64encode(counts.tobytes()).decode()}
