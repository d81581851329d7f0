"""A small tree in the format of Something-Something V2 and Something-Else: real webm files, boxes, labels.

Tests find this folder on their path and import :func:`write_something_tree`.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.something_table import Purpose
from mutoscope.formats.something_else import TEMPLATES

UP, COVER, PUT = "Moving [something] up", "Covering [something] with [something]", "Putting [something] on a surface"
#: id: (template, things, frames)
VIDEOS: dict[str, tuple[str, list[str], int]] = {
    "11": (UP, ["blue pen"], 30),
    "12": (COVER, ["a cup", "cloth"], 24),
    "13": (PUT, ["a cup"], 14),
    "21": (UP, ["a cup"], 26),
    "31": (COVER, ["blue pen", "cloth"], 26),
}
SPLITS: dict[Purpose, list[str]] = {"train": ["11", "12", "13"], "val": ["21"], "test": ["31"]}
MAPPING = {"blue pen": "pen", "a cup": "cup", "cloth": "cloth", "hand": "hand"}


def label(category: str, standard: str, x: float, y: float, width: float = 40) -> dict[str, Any]:
    return {
        "box2d": {"x1": x, "y1": y, "x2": x + width, "y2": y + 20.0},
        "category": category,
        "standard_category": standard,
        "gt_annotation": category,
    }


def records(name: str, things: list[str], frames: int, hand: range | None = None) -> list[dict[str, Any]]:
    """Things that move and a hand that comes with the third frame."""
    found = []
    for frame in range(frames):
        labels = [label(thing, f"{i:04d}", 50.0 * i + frame, 2.0 * frame) for i, thing in enumerate(things)]
        if frame in (hand or range(2, frames)):
            labels.append(label("hand", "hand", 5.0 + frame, 30.0))
        found.append({"name": f"{name}/{frame + 1:04d}.jpg", "labels": labels, "nr_instances": len(labels)})
    return found


def pictures(name: str, frames: int) -> NDArray[np.uint8]:
    shown = np.zeros((frames, 48, 64, 3), dtype=np.uint8)
    shown[:] = np.linspace(30, 220, frames).astype(np.uint8)[:, None, None, None]
    shown[:, :, :20, int(name) % 3] = 200
    return shown


def write_webm(path: Path, shown: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="webm") as out:
        options = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}
        stream = out.add_stream("libvpx-vp9", rate=Fraction(12), options=options)
        stream.height, stream.width = shown.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for one in shown:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(one, format="rgb24")))
        out.mux(stream.encode())


def table(rows: list[tuple[str, str, list[str], int | str, str]]) -> str:
    lines = [",id,label,template,placeholders,nr_instances,err"]
    for i, (name, template, things, instances, error) in enumerate(rows):
        lines.append(f'{i},{name},x,{template},"{things}",{instances},{error}')
    return "\n".join(lines) + "\n"


def good(name: str) -> tuple[str, str, list[str], int | str, str]:
    template, things, _ = VIDEOS[name]
    return name, template, things, TEMPLATES[template], ""


def write_something_tree(root: Path) -> Path:
    """Write videos, label tables, boxes in two parts and ``mapping.json``; answers ``root``."""
    for name, (_, _, frames) in VIDEOS.items():
        write_webm(root / "videos" / f"{name}.webm", pictures(name, frames))
    for split, names in SPLITS.items():
        (root / f"{split}.csv").write_text(table([good(name) for name in names]))
    (root / "boxes").mkdir()
    parts = [dict(list(VIDEOS.items())[k::2]) for k in range(2)]
    for k, part in enumerate(parts, start=1):
        boxes = {name: records(name, things, frames) for name, (_, things, frames) in part.items()}
        (root / "boxes" / f"part{k}.json").write_text(json.dumps(boxes))
    (root / "mapping.json").write_text(json.dumps(MAPPING))
    return root
