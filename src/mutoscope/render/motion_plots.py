"""Pictures of many clips at once: mixtures of two actions and paths of classes (figures 8 and 9 of SA-GCN)."""

from collections.abc import Sequence

import numpy as np

from mutoscope.render.camera import Motion
from mutoscope.render.canvas import INK, MUTED, Array, Frames, blend, fit_text
from mutoscope.render.plot import PAPER, RULE, Page, Panel, class_colours, ticks
from mutoscope.render.projection import Axis, PrincipalPlane, poses
from mutoscope.structures import Skeleton

_FIRST, _SECOND = class_colours(2)
_BINS = 48


def mixture_positions(clips: Motion, skeleton: Skeleton) -> Array:
    """Where clips of mixtures lie between the two pure actions.

    Every clip is averaged over time (section 4.5 of the paper). The line goes through the means of the first and the
    last mixture, which lie at 0 and 1.

    Args:
        clips: ``[lambdas, n, t, v, c]``, from one pure action to the other.
        skeleton: of the clips.

    Returns:
        ``[lambdas, n]``.

    Raises:
        ValueError: where both ends have the same mean.
    """
    averages = poses(clips, skeleton).mean(axis=2)
    return Axis.between(averages[0], averages[-1]).positions(averages)


def draw_mixtures(positions: Array, lambdas: Sequence[float], classes: tuple[str, str], width: int = 860) -> Frames:
    """A histogram per mixture, one above the other, from one pure action at the top to the other (figure 8).

    Args:
        positions: ``[lambdas, n]`` of :func:`mixture_positions`.
        lambdas: share of the first class in each mixture.
        classes: the two names; a mixture of ``lambda`` holds that much of the first and the rest of the second.
        width: in pixels; the height follows from the number of mixtures.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        ValueError: another number of mixtures than lambdas.
    """
    if len(positions) != len(lambdas):
        raise ValueError(f"There are positions of {len(positions)} mixtures, but {len(lambdas)} lambdas.")
    row, head, foot, gutter, right = 40, 96, 66, 96, 24
    low, high = min(float(positions.min()), 0.0), max(float(positions.max()), 1.0)
    margin = 0.03 * (high - low)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    counts = np.stack([np.histogram(some, edges)[0] for some in positions])
    page = Page(width, head + row * len(lambdas) + foot)
    box = (gutter, head, width - right, head + row * len(lambdas))
    panel = Panel(page, box, (float(edges[0]), float(edges[-1])), (0.0, float(len(lambdas))))
    title = f"Mixtures of {classes[0]} and {classes[1]}: {positions.shape[1]} clips each, averaged over time"
    page.text((16, 12), fit_text(title, width - 32, 17), 17)
    note = f"Bars count clips (the highest {counts.max()}), marks are means; lambda is the share of {classes[0]}."
    page.text((16, 37), fit_text(note, width - 32, 12), 12, MUTED)
    first, last = (classes[0], classes[1]) if lambdas[0] > lambdas[-1] else (classes[1], classes[0])
    panel.x_axis(
        f"place on the line from the mean {first} clip (0) to the mean {last} clip (1)", ticks(*panel.x, most=10)
    )
    page.text((gutter - 10, head - 8), "lambda", 12, INK, "rs")
    for place, name, anchor in ((0.0, first, "rs"), (1.0, last, "ls")):
        x = float(panel.at(np.array([place, 0.0]))[0])
        page.line(np.array([[x, head - 20], [x, box[3]]]), blend(PAPER, INK, 0.4))
        shown = fit_text(name, 160, 13)
        page.text((x + (-5 if anchor == "rs" else 5), head - 9), shown, 13, _colour(float(name == classes[0])), anchor)
    for number, (share, bars, some) in enumerate(zip(lambdas, counts, positions, strict=True)):
        base = len(lambdas) - 1.0 - number
        heights = base + 0.9 * bars / counts.max()
        outline = np.stack([np.repeat(edges, 2), np.concatenate([[base], np.repeat(heights, 2), [base]])], axis=-1)
        colour = _colour(share)
        page.area(panel.at(outline), colour, 0.55)
        page.line(panel.at(outline), colour)
        ends = panel.at(np.array([[edges[0], base], [edges[-1], base]]))
        page.line(ends, RULE if number + 1 < len(lambdas) else INK)
        middle = float(some.mean())
        page.line(panel.at(np.array([[middle, base], [middle, base + 0.42]])), INK, 2.0)
        page.text((gutter - 10, float(ends[0, 1]) - 0.5 * row), f"{share:.3g}", 13, colour, "rm")
    return page.picture()


def _colour(share: float) -> tuple[int, int, int]:
    return blend(_SECOND, _FIRST, share)


def draw_trajectories(
    clips: Motion,
    labels: Sequence[int],
    classes: Sequence[str],
    skeleton: Skeleton,
    *,
    fps: float,
    units: str,
    size: tuple[int, int] = (640, 900),
    shown: int = 6,
) -> Frames:
    """Paths of actions through the plane in which all poses vary most (figure 9).

    Pale lines are clips, a bold one is the mean of all clips of its class, from the ring to the disc.

    Args:
        clips: ``[n, t, v, c]``.
        labels: ``[n]`` their classes.
        classes: names by label.
        skeleton: of the clips.
        fps: frames per second; small dots on bold lines are half a second apart.
        units: of the coordinates.
        size: (height, width) of the picture in pixels.
        shown: clips of each class drawn on their own.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        ValueError: no clips, or another number of labels.
    """
    if not len(clips) or len(labels) != len(clips):
        raise ValueError(f"There are {len(clips)} clips and {len(labels)} labels; expected equally many, at least one.")
    points = poses(clips, skeleton)
    plane = PrincipalPlane.of(points.reshape(-1, points.shape[-1]))
    # the root mean square over joints is the unit's size on a body, the sum over joints is not
    paths = plane.project(points) / skeleton.num_joints**0.5
    groups = {label: paths[[i for i, own in enumerate(labels) if own == label]] for label in sorted(set(labels))}
    drawn = np.concatenate([group[:shown].reshape(-1, 2) for group in groups.values()])
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    height, width = size
    legend = 170
    box = (64.0, 92.0, float(width - legend), float(height - 56))
    # one scale on both axes, so that distances are right
    scale = max(float((high[0] - low[0]) / (box[2] - box[0])), float((high[1] - low[1]) / (box[3] - box[1])), 1e-9)
    half = 1.08 * scale * np.array([box[2] - box[0], box[3] - box[1]]) / 2
    middle = (low + high) / 2
    page = Page(width, height)
    panel = Panel(
        page, box, (middle[0] - half[0], middle[0] + half[0]), (middle[1] - half[1], middle[1] + half[1])
    )  # fmt: skip
    title = f"Paths of {len(groups)} action{'s' if len(groups) > 1 else ''} through poses"
    page.text((16, 12), fit_text(title, width - 32, 17), 17)
    note = "Poses relative to the root's place on the ground, in the plane in which they vary most."
    page.text((16, 37), fit_text(note, width - 32, 12), 12, MUTED)
    name = "{} principal direction, {} per joint ({:.0%} of variance)".format
    panel.x_axis(name("first", units, plane.shares[0]), ticks(*panel.x, most=8))
    panel.y_axis(name("second", units, plane.shares[1]), ticks(*panel.y, most=7))
    panel.border()
    colours = dict(zip(groups, class_colours(len(groups)), strict=True))
    for label, group in groups.items():
        for path in group[:shown]:
            page.line(panel.at(path), colours[label], 1.0, 0.28)
    every = max(round(fps / 2), 1)
    for label, group in groups.items():
        path = panel.at(group.mean(axis=0))
        page.line(path, PAPER, 5.0, 0.8)
        page.line(path, colours[label], 2.6)
        for point in path[every:-1:every]:
            page.disc(point, 2.4, colours[label], PAPER)
        page.disc(path[0], 5.0, colours[label], PAPER)
        page.disc(path[-1], 5.0, colours[label])
    _legend(page, {classes[label]: colours[label] for label in groups}, width - legend + 18, int(box[1]), len(points))
    return page.picture()


def _legend(page: Page, colours: dict[str, tuple[int, int, int]], left: int, top: int, clips: int) -> None:
    for name, colour in colours.items():
        page.line(np.array([[left, top + 8], [left + 22, top + 8]]), colour, 3.0)
        page.text((left + 30, top + 8), fit_text(name, page.size[0] - left - 36, 13), 13, INK, "lm")
        top += 22
    top += 10
    for words, fill in (("first frame", PAPER), ("last frame", MUTED)):
        page.disc(np.array([left + 11, top + 8]), 5.0, MUTED, fill)
        page.text((left + 30, top + 8), words, 12, MUTED, "lm")
        top += 20
    page.disc(np.array([left + 11, top + 8]), 2.4, MUTED, PAPER)
    page.text((left + 30, top + 8), "half a second", 12, MUTED, "lm")
    page.line(np.array([[left, top + 28], [left + 22, top + 28]]), MUTED, 2.6)
    page.text((left + 30, top + 28), "mean of a class", 12, MUTED, "lm")
    page.line(np.array([[left, top + 48], [left + 22, top + 48]]), MUTED, 1.0, 0.5)
    page.text((left + 30, top + 48), f"one of {clips} clips", 12, MUTED, "lm")
