"""Pictures of many clips at once: mixtures of two actions and paths of classes (figures 8 and 9 of SA-GCN)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mutoscope.render.camera import Motion
from mutoscope.render.canvas import INK, MUTED, Array, Colour, blend
from mutoscope.render.plot import PAPER, RULE, Page, class_colours, fitting, points, rgb
from mutoscope.render.projection import Axis, PrincipalPlane, poses
from mutoscope.structures import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def draw_mixtures(positions: Array, lambdas: Sequence[float], classes: tuple[str, str], width: int = 860) -> Page:
    """A histogram per mixture, one above the other, from one pure action at the top to the other (figure 8).

    Args:
        positions: ``[lambdas, n]`` of :func:`mixture_positions`.
        lambdas: share of the first class in each mixture.
        classes: the two names; a mixture of ``lambda`` holds that much of the first and the rest of the second.
        width: in pixels; the height follows from the number of mixtures.

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
    page.heading(
        f"Mixtures of {classes[0]} and {classes[1]}: {positions.shape[1]} clips each, averaged over time",
        f"Bars count clips (the highest {counts.max()}), marks are means; lambda is the share of {classes[0]}.",
    )
    axes = page.axes((gutter, head, width - right, head + row * len(lambdas)))
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_ylim(0, len(lambdas))
    axes.spines[["left", "right", "top"]].set_visible(False)
    first, last = (classes[0], classes[1]) if lambdas[0] > lambdas[-1] else (classes[1], classes[0])
    place = f"place on the line from the mean {first} clip (0) to the mean {last} clip (1)"
    axes.set_xlabel(fitting(place, width - gutter - right, 12), parse_math=False)
    bases = [len(lambdas) - 1.0 - number for number in range(len(lambdas))]
    axes.set_yticks([base + 0.5 for base in bases], [f"{share:.3g}" for share in lambdas], fontsize=points(13))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    for tick, share in zip(axes.get_yticklabels(), lambdas, strict=True):
        tick.set_color(rgb(_colour(share)))
    page.text((gutter - 10, head - 8), "lambda", 12, INK, across="right", up="baseline")
    for end, name in ((0.0, first), (1.0, last)):
        axes.axvline(end, color=rgb(blend(PAPER, INK, 0.4)), linewidth=points(1), zorder=1.5)
        axes.annotate(
            fitting(name, 160, 13),
            (end, len(lambdas)),
            xytext=(points(5 if end else -5), points(8)),
            textcoords="offset points",
            ha="left" if end else "right",
            color=rgb(_colour(float(name == classes[0]))),
            fontsize=points(13),
            parse_math=False,
        )
    for base, share, bars, some in zip(bases, lambdas, counts, positions, strict=True):
        colour, heights = rgb(_colour(share)), base + 0.9 * bars / counts.max()
        axes.axhline(base, color=rgb(RULE), linewidth=points(1), zorder=1.5)
        axes.stairs(heights, edges, baseline=base, fill=True, color=colour, alpha=0.55)
        axes.stairs(heights, edges, baseline=base, color=colour, linewidth=points(1))
        axes.vlines(float(some.mean()), base, base + 0.42, color=rgb(INK), linewidth=points(2))
    return page


def _colour(share: float) -> Colour:
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
) -> Page:
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

    Raises:
        ValueError: no clips, or another number of labels.
    """
    if not len(clips) or len(labels) != len(clips):
        raise ValueError(f"There are {len(clips)} clips and {len(labels)} labels; expected equally many, at least one.")
    flat = poses(clips, skeleton)
    plane = PrincipalPlane.of(flat.reshape(-1, flat.shape[-1]))
    # the root mean square over joints is the unit's size on a body, the sum over joints is not
    paths = plane.project(flat) / skeleton.num_joints**0.5
    groups = {label: paths[[i for i, own in enumerate(labels) if own == label]] for label in sorted(set(labels))}
    height, width = size
    legend = 180
    page = Page(width, height)
    page.heading(
        f"Paths of {len(groups)} action{'s' if len(groups) > 1 else ''} through poses",
        "Poses relative to the root's place on the ground, in the plane in which they vary most.",
    )
    axes = page.axes((76.0, 76.0, float(width - legend), float(height - 56)))
    name = "{} principal direction, {} per joint ({:.0%} of variance)".format
    axes.set_xlabel(name("first", units, plane.shares[0]), parse_math=False)
    axes.set_ylabel(name("second", units, plane.shares[1]), parse_math=False)
    # one scale on both axes, so that distances are right
    axes.set_aspect("equal", adjustable="datalim")
    colours = dict(zip(groups, class_colours(len(groups)), strict=True))
    for label, group in groups.items():
        for path in group[:shown]:
            axes.plot(*path.T, color=rgb(colours[label]), linewidth=points(1), alpha=0.28, zorder=2)
    every = max(round(fps / 2), 1)
    for label, group in groups.items():
        path, colour = group.mean(axis=0), rgb(colours[label])
        axes.plot(*path.T, color=rgb(PAPER), linewidth=points(5), alpha=0.8, zorder=3)
        axes.plot(*path.T, color=colour, linewidth=points(2.6), zorder=4)
        axes.plot(*path[every:-1:every].T, "o", zorder=5, **_ring(colours[label], 2.4))
        axes.plot(*path[:1].T, "o", zorder=5, **_ring(colours[label], 5))
        axes.plot(*path[-1:].T, "o", zorder=5, **_ring(colours[label], 5, colours[label]))
    _legend(axes, {classes[label]: colours[label] for label in groups}, legend - 18, len(flat))
    return page


def _ring(colour: Colour, radius: float, fill: Colour = PAPER) -> dict[str, Any]:
    """Of matplotlib's markers."""
    return {"ms": points(2 * radius), "mfc": rgb(fill), "mec": rgb(colour), "mew": points(1.4)}


def _legend(axes: "Axes", colours: dict[str, Colour], width: float, clips: int) -> None:
    """Right of the axes: classes, and below them what dots and lines are."""
    from matplotlib.lines import Line2D

    def line(wide: float, colour: Colour, opacity: float = 1.0) -> Line2D:
        return Line2D([], [], color=rgb(colour), linewidth=points(wide), alpha=opacity)

    def mark(radius: float, fill: Colour = PAPER) -> Line2D:
        return Line2D([], [], linestyle="", marker="o", **_ring(MUTED, radius, fill))

    entries = [(fitting(name, width - 50, 12), line(3, colour)) for name, colour in colours.items()]
    entries += [
        ("first frame", mark(5)),
        ("last frame", mark(5, MUTED)),
        ("half a second", mark(2.4)),
        ("mean of a class", line(2.6, MUTED)),
        (f"one of {clips} clips", line(1, MUTED, 0.5)),
    ]
    words, handles = [words for words, _ in entries], [handle for _, handle in entries]
    legend = axes.legend(
        handles,
        words,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        handlelength=1.6,
        frameon=False,
        fontsize=points(12),
    )
    for number, text in enumerate(legend.get_texts()):
        text.set_parse_math(False)
        text.set_color(rgb(INK if number < len(colours) else MUTED))
