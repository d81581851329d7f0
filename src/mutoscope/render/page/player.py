"""The skeleton player of a report."""

import base64
import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mutoscope.render.camera import Bounds, Camera, Motion, head_joint, to_world
from mutoscope.render.canvas import Array, nice_length
from mutoscope.render.page.markup import note
from mutoscope.render.sheet import by_class
from mutoscope.structures import DatasetInfo


def player_html(
    fake: Motion,
    labels: Sequence[int] | Tensor | NDArray[np.integer],
    info: DatasetInfo,
    real: Motion | None,
    *,
    note_text: str,
    per_class: int,
    camera: Camera,
) -> str:
    """Players of all classes, in step; see :meth:`~.report.Report.add_motion`."""
    skeleton = info.need_skeleton()
    groups = by_class(fake, labels, info, real, per_class)
    bounds = Bounds.around([clip for clips in groups.values() for _, clip in clips], skeleton)
    clips: list[dict[str, Any]] = []
    cards = []
    for label, members in groups.items():
        cells = []
        for source, clip in members:
            name = f"{source} motion of class {info.classes[label]}"
            cells.append(
                f'<div class="cell {source}"><canvas data-clip="{len(clips)}" role="img" '
                f'aria-label="{escape(name)}"></canvas><span>{source}</span></div>'
            )
            world = to_world(clip, skeleton)[..., : info.channels]
            clips.append({"label": label, "source": source, "frames": len(world), **_pack(world)})
        heading = escape(info.classes[label])
        cards.append(f'<figure><figcaption>{heading}</figcaption><div class="cells">{"".join(cells)}</div></figure>')
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
    hint = "" if info.channels == 2 else " Drag a figure to look from elsewhere (or use the arrow keys)."
    legend = (
        '<span class="swatch" style="background:var(--left)"></span>left limbs, '
        '<span class="swatch" style="background:var(--right)"></span>right limbs, '
        '<span class="swatch" style="background:var(--middle)"></span>trunk and head.'
    )
    return (
        f'{note(note_text)}<p class="note">{legend} All figures are drawn to one scale and play in step.{hint}</p>'
        '<div data-player><div class="controls"><button type="button" data-play>Play</button>'
        '<input type="range" data-time min="0" max="1" step="1" value="0" aria-label="Frame">'
        "<output data-now></output><label>Speed <select data-speed>"
        '<option value="0.25">¼</option><option value="0.5">½</option><option value="1" selected>1</option>'
        '<option value="2">2</option></select></label>'
        f'<label><input type="checkbox" data-follow{" checked" if camera.follow else ""}> Follow the person</label>'
        f'<button type="button" data-reset{" hidden" if info.channels == 2 else ""}>Reset view</button></div>'
        f'<div class="cards{" single" if real is None else ""}" data-cards tabindex="0">{"".join(cards)}</div>'
        f'<script type="application/json">{_json(data)}</script>'
        '<noscript><p class="note">The players need JavaScript.</p></noscript></div>'
    )


def _json(data: object) -> str:
    """JSON that can stand inside a script element whatever it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pack(world: Array) -> dict[str, Any]:
    """Little-endian int16 ``[t, v, c]`` in base64, and the step that turns it back into coordinates."""
    step = 10.0 ** math.ceil(math.log10(max(float(np.abs(world).max()), 1e-9) / 32767))
    counts = np.round(world / step).astype("<i2")
    return {"step": step, "data": base64.b64encode(counts.tobytes()).decode()}
