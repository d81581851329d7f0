"""Videos and pictures of generated motion beside those of the gallery: mixtures, sweeps, attention, trajectories."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.render.attention import draw_attention
from mutoscope.render.camera import FOLLOWING, Bounds
from mutoscope.render.canvas import Array, Frames, grid
from mutoscope.render.motion_plots import draw_mixtures, draw_trajectories
from mutoscope.render.sheet import SheetRow, contact_sheet, save_png, slug
from mutoscope.render.skeleton import draw_motion
from mutoscope.structures import DatasetInfo

Clips = NDArray[np.float32]
_CELL = (240, 240)


def mixture_file(shares: Mapping[str, float]) -> str:
    """The name that files of a mixture have or start with, e.g. ``walk_0.5_wave_0.5``."""
    return "_".join(f"{slug(action)}_{share:.3g}" for action, share in shares.items())


def mixture_title(shares: Mapping[str, float]) -> str:
    """A mixture in words, e.g. ``0.5 walk + 0.5 wave``."""
    return " + ".join(f"{share:.3g} {action}" for action, share in shares.items())


def save_mixture(
    folder: Path, clips: Clips, shares: Mapping[str, float], info: DatasetInfo, *, gif: bool = False
) -> list[Path]:
    """A video and a sheet of clips ``[n, t, v, c]`` of one mixture, named after :func:`mixture_file`."""
    name, title = mixture_file(shares), mixture_title(shares)
    skeleton = info.need_skeleton()
    rows = [SheetRow(f"clip {number}", clip) for number, clip in enumerate(clips)]
    sheet = contact_sheet(
        rows, skeleton, fps=info.fps, frames=10, size=(112, 92), camera=FOLLOWING, title=title, gutter=76
    )
    videos = _drawn(clips, [title] * len(clips), info)
    return [save_png(folder / f"{name}.png", sheet), *_save(folder / name, grid(videos), info, gif)]


def save_sweep(
    folder: Path,
    clips: Clips,
    positions: Array,
    lambdas: Sequence[float],
    classes: tuple[str, str],
    info: DatasetInfo,
    *,
    gif: bool = False,
) -> list[Path]:
    """Histograms of all mixtures, and a video and a sheet with the first clip of each.

    Args:
        folder: where to.
        clips: ``[lambdas, n, t, v, c]``.
        positions: ``[lambdas, n]`` of :func:`~mutoscope.render.motion_plots.mixture_positions`.
        lambdas: share of the first class in each mixture.
        classes: the two names.
        info: of the clips.
        gif: write a GIF beside the video.
    """
    name = f"{slug(classes[0])}_{slug(classes[1])}"
    titles = [f"lambda {share:.3g}" for share in lambdas]
    rows = [SheetRow(title, clip) for title, clip in zip(titles, clips[:, 0], strict=True)]
    sheet = contact_sheet(
        rows,
        info.need_skeleton(),
        fps=info.fps,
        frames=10,
        size=(112, 92),
        camera=FOLLOWING,
        title=f"lambda x {classes[0]} + (1 - lambda) x {classes[1]}, all from the same noise",
        gutter=112,
    )
    # one row as long as that can be read, else two
    columns = len(lambdas) if len(lambdas) <= 6 else -(-len(lambdas) // 2)
    ends = {0.0: f": {classes[1]}", 1.0: f": {classes[0]}"}
    captions = [title + ends.get(share, "") for title, share in zip(titles, lambdas, strict=True)]
    video = grid(_drawn(clips[:, 0], captions, info), columns=columns)
    return [
        *draw_mixtures(positions, lambdas, classes).save(folder / f"{name}_histograms.png"),
        save_png(folder / f"{name}.png", sheet),
        *_save(folder / name, video, info, gif),
    ]


def save_trajectories(folder: Path, clips: Clips, labels: NDArray[np.int64], info: DatasetInfo) -> list[Path]:
    """``trajectories.png`` and ``.svg``: paths of all classes."""
    page = draw_trajectories(clips, labels.tolist(), info.classes, info.need_skeleton(), fps=info.fps, units=info.units)
    return page.save(folder / "trajectories.png")


def save_attention(
    folder: Path, clips: Clips, maps: Clips, shown: Mapping[str, tuple[str, int]], info: DatasetInfo
) -> list[Path]:
    """``<name>_attention.png`` and ``.svg`` for some clips.

    Args:
        folder: where to.
        clips: ``[n, t, v, c]``.
        maps: ``[n, t, t]``.
        shown: by file name, what is done and the number of the clip.
        info: of the clips.
    """
    paths = []
    for name, (action, number) in shown.items():
        title = f"{action}: which past frames each frame attends to, in clip {number}"
        page = draw_attention(clips[number], maps[number], info.need_skeleton(), fps=info.fps, title=title)
        paths += page.save(folder / f"{name}_attention.png")
    return paths


def _drawn(clips: Clips, titles: Sequence[str], info: DatasetInfo) -> list[Frames]:
    skeleton = info.need_skeleton()
    bounds = Bounds.around(list(clips), skeleton, FOLLOWING.follow)
    return [
        draw_motion(clip, skeleton, size=_CELL, camera=FOLLOWING, bounds=bounds, title=title)
        for clip, title in zip(clips, titles, strict=True)
    ]


def _save(path: Path, video: Frames, info: DatasetInfo, gif: bool) -> list[Path]:
    # names of mixtures hold dots, so no suffix is replaced
    paths = [write_mp4(path.with_name(f"{path.name}.mp4"), video, info.fps)]
    if gif:
        paths.append(write_gif(path.with_name(f"{path.name}.gif"), video, info.fps))
    return paths
