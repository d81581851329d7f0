"""Pictures and videos for people who look at results: contact sheets, and a folder of media per class."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.render.camera import FOLLOWING, Bounds, Camera, Motion
from mutoscope.render.canvas import INK, MUTED, Frames, fit_text, font, grid
from mutoscope.render.skeleton import Source, draw_motion, draw_strobe, key_frames
from mutoscope.runtime.files import replacing
from mutoscope.structures import DatasetInfo, Skeleton


@dataclass(frozen=True)
class SheetRow:
    """One clip ``[t, v, c]`` of a contact sheet; neighbouring rows of one title are shown as a group."""

    title: str
    clip: Motion
    source: Source | None = None


def contact_sheet(
    rows: Sequence[SheetRow],
    skeleton: Skeleton,
    *,
    fps: float,
    frames: int = 8,
    size: tuple[int, int] = (128, 112),
    camera: Camera = FOLLOWING,
    strobe: bool = False,
    title: str = "",
    gutter: int = 128,
) -> Frames:
    """One row of key frames per clip, in time order from left to right, all to the same scale.

    Args:
        rows: the clips; put a real row above a generated one of the same title.
        skeleton: their layout.
        fps: frames per second, for the seconds written under the frames.
        frames: key frames per row, evenly spaced, first and last included.
        size: (height, width) of a cell in pixels.
        camera: where from.
        strobe: add a last cell that lays the key frames over each other, the latest darkest.
        title: of the sheet.
        gutter: width in pixels of the column of titles.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        ValueError: no rows, or a clip of wrong shape.
    """
    if not rows:
        raise ValueError("A contact sheet needs at least one row, got none.")
    bounds = Bounds.around([row.clip for row in rows], skeleton, camera.follow)
    h, w = size
    gap, head, caption = 12, 44 if title else 12, 16
    cells = frames + (1 if strobe else 0)
    first_of_group = [i == 0 or rows[i - 1].title != row.title for i, row in enumerate(rows)]
    page = Image.new(
        "RGB", (gutter + cells * w + gap, head + len(rows) * (h + caption) + gap * sum(first_of_group)), (255, 255, 255)
    )
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((gap, 9), fit_text(title, page.width - 2 * gap, 18), INK, font(18))
    y = head - gap
    for row, first in zip(rows, first_of_group, strict=True):
        y += gap if first else 0
        if first:
            draw.line((gap, y - gap // 2, page.width - gap, y - gap // 2), (225, 226, 230))
            draw.text((gap, y + 6), fit_text(row.title, gutter - 2 * gap, 15), INK, font(15))
        if row.source:
            draw.text((gap, y + 26), row.source, MUTED, font(12))
        shown = key_frames(len(row.clip), frames)
        pictures = draw_motion(
            row.clip, skeleton, size=size, camera=camera, bounds=bounds, source=row.source, framed=False, shown=shown
        )
        for column, (frame, picture) in enumerate(zip(shown, pictures, strict=True)):
            page.paste(Image.fromarray(picture), (gutter + column * w, y))
            draw.text((gutter + column * w + 4, y + h + 1), f"{frame / fps:.2f} s", MUTED, font(11))
        if strobe:
            # A following camera would put all poses in one place, so this cell stands still at a scale of its own.
            still = replace(camera, follow=False)
            overlay = draw_strobe(
                row.clip, skeleton, poses=frames, size=size, camera=still, source=row.source, framed=False
            )
            page.paste(Image.fromarray(overlay), (gutter + frames * w, y))
            draw.text((gutter + frames * w + 4, y + h + 1), "all of them", MUTED, font(11))
        y += h + caption
    return np.asarray(page)


def save_png(path: str | Path, picture: Frames) -> Path:
    """Write ``[h, w, 3]`` uint8 as PNG, replacing the file atomically."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(f"A picture has shape {list(picture.shape)} of {picture.dtype}, expected [h, w, 3] of uint8.")
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")
    return Path(path)


def save_motion_gallery(
    folder: str | Path,
    fake: Motion,
    labels: Sequence[int] | Tensor | NDArray[np.integer],
    info: DatasetInfo,
    real: Motion | None = None,
    *,
    per_class: int = 4,
    size: tuple[int, int] = (240, 240),
    camera: Camera = FOLLOWING,
    gif: bool = False,
    sheets: bool = False,
) -> list[Path]:
    """Write what generated clips look like: a contact sheet, a video of all classes, one video per class.

    ``sheet.png`` shows the first clip of every class, ``all.mp4`` the same in motion, ``<label>_<class>.mp4`` up to
    ``per_class`` clips, and with ``sheets`` ``<label>_<class>.png`` their key frames. Real clips stand above
    generated ones (beside them in ``all.mp4``); everything is drawn to one scale, fitted around all clips shown.

    Args:
        folder: made if missing; files of the same names are replaced.
        fake: ``[n, t, v, c]`` generated clips in dataset units.
        labels: ``[n]`` their classes.
        info: names the classes, the skeleton and the frame rate.
        real: ``[n, t, v, c]`` real clips of the same labels (lengths may differ), or ``None``.
        per_class: clips per class.
        size: (height, width) of a clip in pixels.
        camera: where from.
        gif: write a GIF beside every video.
        sheets: write a contact sheet of every class.

    Returns:
        The files written, the sheet first.

    Raises:
        ValueError: shapes that do not fit together, labels outside the classes, coordinates that are not finite.
    """
    skeleton = info.need_skeleton()
    groups = by_class(fake, labels, info, real, per_class)
    folder = Path(folder)
    shown = [clip for clips in groups.values() for _, clip in clips]
    bounds = Bounds.around(shown, skeleton, camera.follow)

    def draw(clip: Motion, source: Source, title: str) -> Frames:
        return draw_motion(
            clip,
            skeleton,
            size=size,
            camera=camera,
            bounds=bounds,
            title=title,
            source=None if real is None else source,
        )

    written: list[Path] = []

    def save(name: str, video: Frames) -> None:
        written.append(write_mp4(folder / f"{name}.mp4", video, info.fps))
        if gif:
            written.append(write_gif(folder / f"{name}.gif", video, info.fps))

    heads = [[next(p for p in clips if p[0] == s) for s in _sources(real)] for clips in groups.values()]
    names = [info.classes[label] for label in groups]
    rows = [
        SheetRow(name, clip, None if real is None else source)
        for name, head in zip(names, heads, strict=True)
        for source, clip in head
    ]
    sheet = contact_sheet(rows, skeleton, fps=info.fps, camera=camera, strobe=True, title=info.name)
    written.append(save_png(folder / "sheet.png", sheet))
    drawn = {
        label: [(source, draw(clip, source, info.classes[label])) for source, clip in clips]
        for label, clips in groups.items()
    }
    overview = [next(v for s, v in videos if s == source) for videos in drawn.values() for source in _sources(real)]
    save("all", grid(overview, columns=4))
    for label, videos in drawn.items():
        ordered = [video for source in _sources(real) for s, video in videos if s == source]
        name = class_file(info, label)
        save(name, grid(ordered, columns=4 if real is None else len(ordered) // 2))
        if sheets:
            count = len(ordered) // len(_sources(real))
            rows = [
                SheetRow(f"clip {number // len(_sources(real))}", clip, None if real is None else source)
                for number, (source, clip) in enumerate(groups[label])
            ]
            title = f"{info.classes[label]}: {count} clip{'s' if count > 1 else ''}"
            page = contact_sheet(
                rows, skeleton, fps=info.fps, frames=10, size=(112, 92), camera=camera, title=title, gutter=76
            )
            written.append(save_png(folder / f"{name}.png", page))
    return written


def class_file(info: DatasetInfo, label: int) -> str:
    """The name that files of a class have or start with, e.g. ``001_wave_left``."""
    return f"{label:03d}_{slug(info.classes[label])}".rstrip("_")


def slug(name: str) -> str:
    """A name as part of a file's name: ``Wave / Left`` becomes ``wave_left``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def by_class(
    fake: Motion,
    labels: Sequence[int] | Tensor | NDArray[np.integer],
    info: DatasetInfo,
    real: Motion | None,
    per_class: int,
) -> dict[int, list[tuple[Source, Motion]]]:
    """The first ``per_class`` clips of every label, in label order: each real clip before its generated one.

    Arguments and errors as in :func:`save_motion_gallery`.
    """
    v = info.need_skeleton().num_joints
    for name, clips in (("Generated", fake), ("Real", real)):
        if clips is not None and (clips.ndim != 4 or clips.shape[2:] != (v, info.channels)):
            raise ValueError(
                f"{name} clips have shape {list(clips.shape)}, expected [n, t, {v}, {info.channels}] for '{info.name}'."
            )
    order = [int(label) for label in labels]
    if len(order) != len(fake) or not order or (real is not None and len(real) != len(fake)):
        others = "" if real is None else f" and {len(real)} real clips"
        raise ValueError(f"There are {len(fake)} generated clips, {len(order)} labels{others}; expected equally many.")
    if bad := [label for label in order if not 0 <= label < info.num_classes]:
        raise ValueError(f"Label {bad[0]} is outside the classes 0..{info.num_classes - 1} of '{info.name}'.")
    if per_class < 1:
        raise ValueError(f"per_class is {per_class}, expected at least 1.")
    groups: dict[int, list[tuple[Source, Motion]]] = {}
    for label in sorted(set(order)):
        members = [i for i, own in enumerate(order) if own == label][:per_class]
        groups[label] = []
        for i in members:
            if real is not None:
                groups[label].append(("real", real[i]))
            groups[label].append(("generated", fake[i]))
    return groups


def _sources(real: Motion | None) -> tuple[Source, ...]:
    return ("generated",) if real is None else ("real", "generated")
