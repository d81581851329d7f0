"""What an agent is told, or was found to do, step by step, below the video in which it does so."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mutoscope.render.action_graph import contrasting
from mutoscope.render.canvas import INK, MUTED, Frames, font
from mutoscope.render.plot import PALETTE, PAPER, RULE

#: pixels: of the row of actions and of that of shifts
_ACTIONS, _SHIFTS = 20, 26
_NOW = (220, 30, 40)
#: pixels that are drawn for one that is shown
_FINER = 3


def under_steps(video: Frames, shifts: NDArray[np.floating], actions: NDArray[np.integer]) -> Frames:
    """A video with its steps below: a block a step with the local action, an arrow for the shift, and where one is.

    The step from frame i to i + 1 is marked while frame i + 1 is shown. Arrows are as long as shifts are, relative to
    the longest.

    Args:
        video: ``[t, h, w, 3]`` uint8.
        shifts: ``[t - 1, 2]`` pixels, right and down.
        actions: ``[t - 1]`` local actions; colours repeat after a dozen.

    Returns:
        ``[t, h + 46, w, 3]`` uint8.

    Raises:
        ValueError: for steps that are not one less than frames.
    """
    if not len(video) - 1 == len(shifts) == len(actions):
        raise ValueError(f"A video of {len(video)} frames has {len(video) - 1} steps, not {len(actions)}.")
    width, edges = video.shape[2], np.linspace(0, video.shape[2], max(len(actions), 1) + 1)
    strip = _strip(width, edges, shifts, actions)
    found = np.repeat(strip[None], len(video), axis=0)
    for step in range(len(actions)):
        left, right = round(edges[step]), max(round(edges[step + 1]), round(edges[step]) + 2)
        frame = found[step + 1]
        frame[:2, left:right] = frame[-2:, left:right] = _NOW
        frame[:, left : left + 2] = frame[:, right - 2 : right] = _NOW
    return np.concatenate([video, found], axis=1)


def _strip(
    width: int,
    edges: NDArray[np.floating],
    shifts: NDArray[np.floating],
    actions: NDArray[np.integer],
) -> Frames:
    scale = _FINER
    page = Image.new("RGB", (width * scale, (_ACTIONS + _SHIFTS) * scale), PAPER)
    pen = ImageDraw.Draw(page)
    longest = max(float(np.linalg.norm(shifts, axis=-1).max(initial=0)), 1e-9)
    for step, action in enumerate(actions):
        left, right = edges[step] * scale, edges[step + 1] * scale
        colour, middle = PALETTE[int(action) % len(PALETTE)], (left + right) / 2
        pen.rectangle((left, 0, right - 1, _ACTIONS * scale), fill=colour, outline=PAPER)
        if right - left >= 8 * scale:
            face = font(min(12 * scale, (right - left) * 0.8))
            pen.text((middle, _ACTIONS * scale / 2), str(int(action)), contrasting(colour), face, anchor="mm")
        pen.line((right, _ACTIONS * scale, right, page.height), RULE, 1)
        _arrow(pen, (middle, (_ACTIONS + _SHIFTS / 2) * scale), shifts[step] / longest, (_SHIFTS / 2 - 3) * scale)
    return np.asarray(page.resize((width, _ACTIONS + _SHIFTS), Image.Resampling.LANCZOS))


def _arrow(pen: ImageDraw.ImageDraw, at: tuple[float, float], way: NDArray[np.floating], longest: float) -> None:
    """An arrow of at most ``longest`` to either side of a place; a dot for a shift that is next to nothing."""
    length = float(np.linalg.norm(way))
    if length < 0.05:
        pen.ellipse((at[0] - 4, at[1] - 4, at[0] + 4, at[1] + 4), fill=MUTED)
        return
    centre, half = np.array(at), way * longest
    tip, unit = centre + half, way / length
    side = np.array([-unit[1], unit[0]])
    pen.line((*(centre - half), *(tip - 6 * unit)), INK, 5)
    head = [tip, tip - 14 * unit + 8 * side, tip - 14 * unit - 8 * side]
    pen.polygon([(float(x), float(y)) for x, y in head], fill=INK)
