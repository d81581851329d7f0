"""A clip and what its frames attend to: skeletons over a time line, arcs into the past, the whole map (figure 4)."""

import math

import numpy as np

from mutoscope.render.camera import FOLLOWING, Bounds, Camera, Motion
from mutoscope.render.canvas import INK, MUTED, Array, Colour, Frames, blend
from mutoscope.render.plot import PAPER, RULE, Page, class_colours, points, rgb, style
from mutoscope.render.skeleton import draw_motion
from mutoscope.structures import Skeleton

_CELL = (112, 104)
_MARGIN, _HEAD, _ARCS = 28, 84, 190
_MAP, _BAR = 300, 14
_MOST = 6
#: of weights, from light to heavy
_BLUES: tuple[Colour, ...] = ((222, 236, 247), (107, 174, 214), (8, 81, 156), (8, 32, 84))


def draw_attention(
    clip: Motion,
    weights: Motion,
    skeleton: Skeleton,
    *,
    fps: float,
    title: str,
    shown: int = 10,
    camera: Camera = FOLLOWING,
) -> Page:
    """Which past frames each frame attends to, and how much.

    Above: key frames over a time line, and arcs from each of them to the frames it attends to, in its colour; the
    heavier the weight, the heavier the arc. Below: the last frame beside those it attends to most, and the map of all.
    All weights are shares within their row, one's own frame included, since graph layers divide rows by their sums.

    Args:
        clip: ``[t, v, c]``.
        weights: ``[t, t]``, row = frame that attends, column = frame attended to; zero where pruned and for later ones.
        skeleton: of the clip.
        fps: frames per second.
        title: of the picture.
        shown: at most so many key frames, evenly spaced up to the last.
        camera: where from.

    Raises:
        ValueError: weights that do not fit the clip, attend to later frames, or are negative or not finite.
    """
    shares = _shares(np.asarray(weights, dtype=np.float64), len(clip))
    bounds = Bounds.around([clip], skeleton, camera.follow)
    video = draw_motion(clip, skeleton, size=_CELL, camera=camera, bounds=bounds, framed=False)
    step = max(-(-(len(clip) - 1) // max(shown - 1, 1)), 1)
    key = list(range((len(clip) - 1) % step, len(clip), step))
    h, w = _CELL
    width = max(2 * _MARGIN + max(len(key), _MOST + 1) * w, 2 * _MARGIN + _MAP + 560)
    below = _HEAD + h + 30 + _ARCS + 30
    page = Page(width, below + _MAP + 84)
    note = "A frame attends to itself and to the past frames that pruning kept; weights are shares of all of these."
    page.heading(title, note)
    early, late = class_colours(2)
    colours = [blend(early, late, share) for share in np.linspace(0, 1, len(key))]
    _time_line(page, video, key, colours, shares, fps)
    _last_frame(page, video, shares, colours[-1], below, fps)
    _map(page, shares, (float(width - _MARGIN - 64 - _MAP), float(below + 22)), fps)
    return page


def _shares(weights: Array, length: int) -> Array:
    if weights.shape != (length, length):
        raise ValueError(f"Attention has shape {list(weights.shape)}, expected [{length}, {length}] for this clip.")
    if not (np.isfinite(weights).all() and (weights >= 0).all()) or np.triu(weights, 1).any():
        raise ValueError("Attention holds negative numbers, numbers that are not finite, or weights of later frames.")
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _time_line(page: Page, video: Frames, key: list[int], colours: list[Colour], shares: Array, fps: float) -> None:
    h, w = _CELL
    span = page.size[0] - 2 * _MARGIN
    first, last = _MARGIN + w / 2, _MARGIN + span - w / 2
    length, line = len(video), _HEAD + h + 22

    def x(frame: float) -> float:
        return first + frame / max(length - 1, 1) * (last - first)

    for frame, colour in zip(key, colours, strict=True):
        page.paste(video[frame], round(x(frame) - w / 2), _HEAD - 8)
        page.text((x(frame), line - 12), f"{frame / fps:.2f} s", 11, MUTED, across="center", up="baseline")
        page.text((x(frame), _HEAD - 10), f"frame {frame}", 12, colour, across="center", up="baseline")
    page.line(np.array([[x(0), line], [x(length - 1), line]]), blend(PAPER, INK, 0.4))
    for frame in range(length):
        page.line(np.array([[x(frame), line - 3], [x(frame), line]]), blend(PAPER, INK, 0.4))
    heaviest = max(float(np.tril(shares, -1)[key].max()), 1e-9)
    deep = max(length - 1, 1)
    for frame, colour in zip(key, colours, strict=True):
        for past in np.flatnonzero(shares[frame, :frame]).tolist():
            weight = float(shares[frame, past]) / heaviest
            turn = np.linspace(0, math.pi, 60)
            middle, half = (x(frame) + x(past)) / 2, (x(frame) - x(past)) / 2
            depth = _ARCS * ((frame - past) / deep) ** 0.6
            curve = np.stack([middle + half * np.cos(turn), line + depth * np.sin(turn)], axis=-1)
            page.line(curve, colour, 0.9 + 3.1 * weight, 0.35 + 0.55 * weight)
            page.disc(np.array([x(past), line]), 2.2, colour, PAPER)
    for frame, colour in zip(key, colours, strict=True):
        page.disc(np.array([x(frame), line]), 4.5, colour)
    words = f"arc: from a frame (disc) to one it attends to (ring); the heaviest is {heaviest:.0%}"
    page.text((_MARGIN, line + _ARCS + 12), words, 11, MUTED, up="baseline")


def _last_frame(page: Page, video: Frames, shares: Array, colour: Colour, top: int, fps: float) -> None:
    """The last frame in the first cell, then those it attends to, the heaviest weights of them, in order of time."""
    h, w = _CELL
    last = len(video) - 1
    past = np.flatnonzero(shares[last, :last])
    best = np.sort(past[np.argsort(-shares[last, past], kind="stable")[:_MOST]]).tolist()
    left = "" if len(past) <= _MOST else f" (the {_MOST} heaviest of {len(past)})"
    page.text((_MARGIN, top), f"What the last frame attends to{left}", 13, INK, up="baseline")
    heaviest = max([float(shares[last, frame]) for frame in best], default=1.0)
    columns = 4
    for number, frame in enumerate([last, *best]):
        x, y = _MARGIN + (number % columns) * (w + 14), top + 26 + (number // columns) * (h + 52)
        page.paste(video[frame], x, y)
        page.text(
            (x + w / 2, y - 5), f"frame {frame}", 12, colour if frame == last else INK, across="center", up="baseline"
        )
        words = "itself" if frame == last else f"{frame / fps:.2f} s"
        page.text((x + w / 2, y + h + 3), f"{words}: {shares[last, frame]:.0%}", 11, MUTED, across="center")
        if frame == last:
            continue
        bar = (x + 12.0, y + h + 19.0, x + w - 12.0, y + h + 24.0)
        page.box(bar, RULE)
        page.box((bar[0], bar[1], bar[0] + (bar[2] - bar[0]) * float(shares[last, frame]) / heaviest, bar[3]), colour)


def _map(page: Page, shares: Array, corner: tuple[float, float], fps: float) -> None:
    """All weights, time running to the right and down, with the key to their colours."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    left, top = corner
    axes = page.axes((left, top, left + _MAP, top + _MAP))
    # the first frame has nobody but itself
    heaviest = max(float(shares[1:].max()), 1e-9) if len(shares) > 1 else 1.0
    blues = LinearSegmentedColormap.from_list("from pale to dark blue", [rgb(colour) for colour in _BLUES])
    # white where nothing was kept
    kept = np.ma.masked_equal(shares, 0.0)
    image = axes.imshow(kept, cmap=blues, vmin=0.0, vmax=heaviest, interpolation="nearest")
    axes.set_xlabel(f"frame attended to ({fps:g} per second)")
    axes.set_title("frame that attends (white: no weight)", loc="left", fontsize=points(12), color=rgb(INK))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(False)
    key = page.axes((left + _MAP + 16, top, left + _MAP + 16 + _BAR, top + _MAP))
    with style():
        bar = page.figure.colorbar(image, cax=key, format=PercentFormatter(1.0, decimals=0))
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    key.set_title("share", loc="left", fontsize=points(11), color=rgb(MUTED))
