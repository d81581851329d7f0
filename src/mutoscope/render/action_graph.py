"""Action graphs -> pictures: as nodes and arrows, and as a timeline with one row per action."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from mutoscope.render.canvas import INK, MUTED, Array, Colour, Frames, fit_text, font
from mutoscope.render.plot import PALETTE
from mutoscope.structures import ActionEdge, ActionGraph, GraphObject

_SUPERSAMPLE = 3
_PAPER: Colour = (255, 255, 255)
_BEYOND: Colour = (240, 241, 244)
_RULE: Colour = (222, 224, 229)
_NOW: Colour = (214, 20, 60)
#: objects without colour
_PLAIN: Colour = (214, 221, 232)
#: actions of one data set each, by the place of their colour
_KNOWN = (
    ("contain", "slide", "pick_place", "rotate", "no_op"),
    ("cover", "down", "left", "put", "right", "take", "uncover", "up"),
)
#: softer than the names of the web
_OBJECT_COLOURS: dict[str, Colour] = {
    "gray": (140, 143, 148),
    "red": (205, 62, 58),
    "blue": (62, 98, 196),
    "green": (54, 146, 78),
    "brown": (140, 92, 56),
    "purple": (134, 72, 172),
    "cyan": (64, 186, 196),
    "yellow": (238, 214, 72),
    "gold": (212, 164, 40),
}


def action_colours(graph: ActionGraph) -> dict[str, Colour]:
    """A colour for every action that occurs: the same in all pictures for those of the data sets here."""
    names = sorted({edge.action for edge in graph.edges})
    places = {name: known.index(name) for known in _KNOWN for name in names if name in known}
    others = (i for i in range(len(PALETTE) + len(names)) if i not in places.values())
    return {name: PALETTE[(places[name] if name in places else next(others)) % len(PALETTE)] for name in names}


def object_colours(graph: ActionGraph) -> list[Colour]:
    """The colour of every object, as its attribute says; grey-blue where it has none."""
    return [_object_colour(thing) for thing in graph.objects]


def contrasting(colour: Colour) -> Colour:
    """White or ink, whatever is easier to read on ``colour``."""
    red, green, blue = colour
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else _PAPER


def draw_graph(graph: ActionGraph, size: tuple[int, int] = (480, 640)) -> Frames:
    """Objects as discs around a ring, actions as arrows from subject to object with their name and frames.

    Args:
        graph: its words need not be known; about ten objects stay readable.
        size: (height, width) in pixels.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        GraphError: an edge of an unknown object.
        ValueError: a size below 200 pixels.
    """
    if min(size) < 200:
        raise ValueError(f"A graph drawn at {size[0]} x {size[1]} pixels is unreadable; give it at least 200 x 200.")
    return _GraphPicture(graph, size).draw()


class _GraphPicture:
    """The drawing of one graph, in supersampled pixels; ``y`` points down."""

    def __init__(self, graph: ActionGraph, size: tuple[int, int]) -> None:
        self.graph = graph
        self.page = Image.new("RGB", (_SUPERSAMPLE * size[1], _SUPERSAMPLE * size[0]), _PAPER)
        self.pen = ImageDraw.Draw(self.page)
        self.ends = [(graph.index(edge.subject), graph.index(edge.object)) for edge in graph.edges]
        side, count = min(self.page.size), max(len(graph.objects), 1)
        self.text = min(max(0.03 * side, 9.5 * _SUPERSAMPLE), 16 * _SUPERSAMPLE)
        self.line = max(0.005 * side, 1.2 * _SUPERSAMPLE)
        self.radius = min(0.105, 0.21 * math.sin(math.pi / max(count, 3))) * side
        self.middle = np.array(self.page.size) / 2
        self.centres = self._ring(count)[: len(graph.objects)]
        #: what labels should not cover, as (x0, y0, x1, y1)
        self.taken = [(*(centre - self.radius), *(centre + self.radius)) for centre in self.centres]

    def draw(self) -> Frames:
        colours = action_colours(self.graph)
        curves = []
        for position, (i, j) in enumerate(self.ends):
            # several arrows between the same two objects lie beside each other
            same = [k for k, pair in enumerate(self.ends) if {*pair} == {i, j}]
            rank, count = same.index(position), len(same)
            curves.append(self._loop(i, rank, count) if i == j else self._arc(i, j, rank, count))
        for edge, curve in zip(self.graph.edges, curves, strict=True):
            self._arrow(curve, colours[edge.action])
        for thing, centre, colour in zip(self.graph.objects, self.centres, object_colours(self.graph), strict=True):
            self._disc(thing.name, centre, colour)
        for position, edge in enumerate(self.graph.edges):
            self._label(curves, position, (edge.action, _span(edge)), colours[edge.action])
        width, height = self.page.size
        small = self.page.resize((width // _SUPERSAMPLE, height // _SUPERSAMPLE), Image.Resampling.LANCZOS)
        return np.asarray(small)

    def _ring(self, count: int) -> Array:
        """``[n, 2]`` centres of the discs: one in the middle, two side by side, more around an ellipse."""
        if count == 1:
            return self.middle[None]
        if count == 2:
            ring = np.array([[-1.0, 0.0], [1.0, 0.0]])
        else:
            # evenly along an ellipse, from the top
            angle = np.linspace(-math.pi / 2, 3 * math.pi / 2, 721)
            ellipse = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            way = np.linalg.norm(np.diff(ellipse * self.middle, axis=0), axis=1).cumsum()
            ring = ellipse[np.searchsorted(way, way[-1] * np.arange(count) / count)]
            ring = 2 * (ring - ring.min(axis=0)) / np.ptp(ring, axis=0) - 1
        # as far apart as the page allows, with room for loops and their labels outside of the ring
        looped = ring[[i for i, j in self.ends if i == j]]
        room = 2.1 * self.radius + np.array([3.6, 2.6]) * self.text
        edge = 1.15 * self.radius + 3.0 * _SUPERSAMPLE
        low = np.where((looped < -0.5).any(axis=0), room, edge)
        high = np.array(self.page.size) - np.where((looped > 0.5).any(axis=0), room, edge)
        if count == 2:
            low[1] = high[1] = self.middle[1]
        return (low + high) / 2 + ring * np.maximum(high - low, 0) / 2

    def _loop(self, node: int, rank: int, count: int) -> Array:
        """``[p, 2]`` a loop at a disc, away from the middle; several fan out."""
        x, y = self.centres[node] - self.middle
        outward = math.atan2(y, x) if len(self.centres) > 2 else -math.pi / 2
        fan = min(math.radians(66), math.radians(300) / count)
        angle = outward + (rank - (count - 1) / 2) * fan
        size = self.radius * min(0.5, 0.9 * math.tan(fan / 2))
        centre = self.centres[node] + (self.radius + 0.7 * size) * np.array([math.cos(angle), math.sin(angle)])
        turn = np.linspace(angle - math.pi, angle + math.pi, 90)
        return self._outside(centre + size * np.stack([np.cos(turn), np.sin(turn)], axis=1), (node,))

    def _arc(self, i: int, j: int, rank: int, count: int) -> Array:
        """``[p, 2]`` a line from one disc to another; several bend apart."""
        start, end = self.centres[i], self.centres[j]
        along = end - start
        across = np.array([-along[1], along[0]]) * (1 if i < j else -1)
        bend = 0.0 if count == 1 else (rank - (count - 1) / 2) * min(0.5, 1.5 / count)
        control = (start + end) / 2 + bend * across
        t = np.linspace(0, 1, 90)[:, None]
        return self._outside((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end, (i, j))

    def _outside(self, curve: Array, nodes: Sequence[int]) -> Array:
        apart = np.linalg.norm(curve[:, None] - self.centres[list(nodes)], axis=-1).min(axis=1)
        return curve[apart > self.radius + 0.8 * self.line]

    def _arrow(self, curve: Array, colour: Colour) -> None:
        if len(curve) < 2:
            return
        tip, head = curve[-1], 4.5 * self.line
        shaft = curve[np.linalg.norm(curve - tip, axis=1) > 0.8 * head]
        back = tip - (shaft[-1] if len(shaft) else curve[0])
        back = back / max(float(np.linalg.norm(back)), 1e-9) * head
        side = np.array([-back[1], back[0]]) * 0.45
        if len(shaft) > 1:
            self.pen.line([tuple(p) for p in shaft], colour, round(self.line), joint="curve")
        self.pen.polygon([tuple(tip), tuple(tip - back + side), tuple(tip - back - side)], colour)
        self.taken.append((*(tip - back / 2 - head / 2), *(tip - back / 2 + head / 2)))

    def _disc(self, name: str, centre: Array, colour: Colour) -> None:
        (x, y), r = centre, self.radius
        self.pen.ellipse((x - r, y - r, x + r, y + r), colour, _darker(colour, 0.7), round(0.7 * self.line))
        lines, pixels = _wrapped(name, 1.7 * r, 1.5 * r, min(0.5 * r, 1.2 * self.text))
        for row, line in enumerate(lines):
            at = (x, y + (row - (len(lines) - 1) / 2) * 1.15 * pixels)
            self.pen.text(at, line, contrasting(colour), font(pixels), anchor="mm")

    def _label(self, curves: Sequence[Array], position: int, lines: tuple[str, str], colour: Colour) -> None:
        """Write on the middle of an arrow or outside of a loop, or near there where something is in the way."""
        curve, loop = curves[position], self.ends[position][0] == self.ends[position][1]
        if len(curve) < 2:
            return
        faces = (font(self.text), font(0.85 * self.text))
        width = max(face.getlength(line) for face, line in zip(faces, lines, strict=True))
        half = np.array([width / 2 + 0.4 * self.text, 1.15 * self.text])
        others = np.concatenate([np.empty((0, 2)), *(c for k, c in enumerate(curves) if k != position)])

        def hidden(at: Array) -> float:
            box = (*(at - half), *(at + half))
            crossed = (abs(others - at) < half).all(axis=1).sum()
            return sum(_overlap(box, other) for other in self.taken) + 0.03 * half[0] * half[1] * float(crossed)

        places = self._beside(curve, half, (1.15, 1.6, 0.0) if loop else (0.0, 1.15, -1.15))
        at = min(places, key=hidden)
        self.taken.append((*(at - half), *(at + half)))
        self.pen.rounded_rectangle(self.taken[-1], 0.5 * self.text, _PAPER, colour, max(round(0.35 * self.line), 1))
        for line, face, down in zip(lines, faces, (-0.5, 0.55), strict=True):
            self.pen.text((at[0], at[1] + down * self.text), line, _darker(colour, 0.8), face, anchor="mm")

    def _beside(self, curve: Array, half: Array, offsets: Sequence[float]) -> list[Array]:
        """Places for a label of half size ``half`` along a curve, those on its middle first."""
        border, found = half + 4.0 * _SUPERSAMPLE, []
        for share in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82):
            k = round(share * (len(curve) - 1))
            along = curve[min(k + 1, len(curve) - 1)] - curve[max(k - 1, 0)]
            away = np.array([along[1], -along[0]]) / max(float(np.linalg.norm(along)), 1e-9)
            # how far the label reaches across the curve
            reach = float(abs(away) @ half)
            for offset in offsets:
                place = curve[k] + offset * min(reach, float(half.max())) * away
                found.append(np.clip(place, border, np.array(self.page.size) - border))
        return found


def draw_timeline(graph: ActionGraph, width: int = 640) -> Frames:
    """One row per action in the order of their starts: a bar from its first to its last frame.

    What happens before or after the clip is pale; bars that go on beyond the picture end in an arrow.

    Args:
        graph: its words need not be known.
        width: pixels; the height follows from the number of actions.

    Returns:
        ``[h, w, 3]`` uint8.

    Raises:
        ValueError: a width below 200 pixels.
    """
    return _timeline(graph, width)[0]


def play_timeline(graph: ActionGraph, width: int, frames: int) -> Frames:
    """The :func:`draw_timeline` below a video that plays: a red line goes along with its frames.

    Args:
        graph, width: see there.
        frames: of the video.

    Returns:
        ``[frames, h, w, 3]`` uint8.
    """
    still, x, top = _timeline(graph, width)
    found = np.repeat(still[None], frames, axis=0)
    for frame, picture in enumerate(found):
        left = round(x(frame)) - 1
        picture[top:, left : left + 2] = _NOW
    return found


def _timeline(graph: ActionGraph, width: int) -> tuple[Frames, Callable[[float], float], int]:
    """The picture, the column of a frame in it, and the row where its rulers begin."""
    if width < 200:
        raise ValueError(f"A timeline {width} pixels wide is unreadable; give it at least 200.")
    s = _SUPERSAMPLE
    text, row, head, pad = 13 * s, 28 * s, 34 * s, 12 * s
    edges = sorted(graph.edges, key=lambda edge: (edge.start, edge.end))
    gutter = min(max((_who_width(edge, text) for edge in edges), default=0.0), 0.4 * width * s)
    gutter = max(gutter, 40 * s) + 2 * pad
    page = Image.new("RGB", (width * s, head + max(len(edges), 1) * row + pad), _PAPER)
    pen = ImageDraw.Draw(page)
    low = max(min([0.0, *(edge.start for edge in edges)]), -0.25 * graph.length)
    high = min(max([graph.length, *(edge.end for edge in edges)]), 1.25 * graph.length)
    right, bottom = page.width - pad, page.height - pad

    def x(frame: float) -> float:
        return gutter + (min(max(frame, low), high) - low) / (high - low) * (right - gutter)

    for start, end in ((low, 0.0), (graph.length, high)):
        if end > start:
            pen.rectangle((x(start), head, x(end), bottom), _BEYOND)
    for frame in _ticks(low, high, (right - gutter) / (34 * s)):
        pen.line((x(frame), head - 4 * s, x(frame), bottom), _RULE, s)
        pen.text((x(frame), head - 6 * s), f"{frame:g}", MUTED, font(11 * s), anchor="ms")
    pen.text((pad, head - 6 * s), "frame", MUTED, font(11 * s), anchor="ls")
    colours = action_colours(graph)
    for position, edge in enumerate(edges):
        middle = head + (position + 0.5) * row
        _write_who(pen, edge, (pad, middle), gutter - 2 * pad, text)
        _write_bar(pen, edge, colours[edge.action], graph.length, x, middle, 0.36 * row)
    for frame in (0, graph.length):
        pen.line((x(frame), head - 4 * s, x(frame), bottom), INK, round(1.5 * s))
    pen.text((x(graph.length), 3 * s), "clip ends", INK, font(11 * s), anchor="rt" if high == graph.length else "mt")
    picture = np.asarray(page.resize((width, page.height // s), Image.Resampling.LANCZOS))
    return picture, lambda frame: x(frame) / s, head // s - 4


def _write_bar(
    pen: ImageDraw.ImageDraw,
    edge: ActionEdge,
    colour: Colour,
    length: int,
    x: Callable[[float], float],
    middle: float,
    half: float,
) -> None:
    """The bar of an action with its name; ``x`` maps frames to pixels and stops at the borders of the picture."""
    left, right, pixels = x(edge.start), x(edge.end), 1.3 * half
    first, last = min(max(left, x(0)), right), max(min(right, x(length)), left)
    pale: Colour = _mixed(colour, _PAPER, 0.6)
    pen.rounded_rectangle((left, middle - half, max(right, left + 2), middle + half), 0.3 * half, pale)
    if last > first:
        pen.rounded_rectangle((first, middle - half, last, middle + half), 0.3 * half, colour)
    # where the border of the picture hides how far the action goes on, frames nearer to the clip lie there too
    cut = [way for at, frame, way in ((left, edge.start, -1), (right, edge.end, 1)) if x(frame - way * 0.01) == at]
    beyond = right - left < half and bool(cut)
    for way in cut:
        if beyond and way * (edge.start + edge.end - length) < 0:
            continue
        tip = (left if way < 0 else right) - way * 0.3 * half
        pen.polygon([(tip, middle), *((tip - way * 0.7 * half, middle + k * 0.6 * half) for k in (-1, 1))], colour)
    words, arrow = pen.textlength(edge.action, font(pixels)), 1.2 * half
    places = ((first, last, contrasting(colour)), (left + arrow, first, INK), (last, right - arrow, INK))
    for start, end, ink in places:
        if end - start > words + half:
            pen.text(((start + end) / 2, middle), edge.action, ink, font(pixels), anchor="mm")
            return
    gap = 0.5 * half + (arrow if beyond else 0)
    fits = right + gap + words < x(math.inf)
    at = right + gap if fits else left - gap
    pen.text((at, middle), edge.action, _darker(colour, 0.8), font(pixels), anchor="lm" if fits else "rm")


def _write_who(pen: ImageDraw.ImageDraw, edge: ActionEdge, at: tuple[float, float], room: float, pixels: float) -> None:
    """Subject, arrow and object; the arrow is drawn, for the font has none."""
    x, y = at
    if edge.object == edge.subject:
        pen.text(at, fit_text(edge.subject, room, pixels), INK, font(pixels), anchor="lm")
        return
    share = (room - 2 * pixels) / max(_who_width(edge, pixels) - 2 * pixels, 1)
    for name, gap in ((edge.subject, 2 * pixels), (edge.object, 0.0)):
        width = pen.textlength(name, font(pixels)) * min(share, 1.0) + 1
        pen.text((x, y), fit_text(name, width, pixels), INK, font(pixels), anchor="lm")
        x += width
        if gap:
            start, end, wing = x + 0.4 * pixels, x + 1.6 * pixels, 0.3 * pixels
            pen.line((start, y, end - wing, y), MUTED, round(0.12 * pixels))
            pen.polygon([(end, y), (end - 1.5 * wing, y - wing), (end - 1.5 * wing, y + wing)], MUTED)
        x += gap


def _who_width(edge: ActionEdge, pixels: float) -> float:
    face = font(pixels)
    if edge.object == edge.subject:
        return face.getlength(edge.subject)
    return face.getlength(edge.subject) + face.getlength(edge.object) + 2 * pixels + 2


def _ticks(low: float, high: float, most: float) -> list[int]:
    """Round frame numbers, at most about ``most`` of them."""
    step = next(
        step for power in range(9) for step in (10**power, 2 * 10**power, 5 * 10**power) if (high - low) / step <= most
    )
    return [*range(math.ceil(low / step) * step, math.floor(high) + 1, step)]


def _span(edge: ActionEdge) -> str:
    return f"{round(edge.start, 1):g} to {round(edge.end, 1):g}"


def _object_colour(thing: GraphObject) -> Colour:
    name = next((thing.attributes[key] for key in ("color", "colour") if key in thing.attributes), "")
    if name in _OBJECT_COLOURS:
        return _OBJECT_COLOURS[name]
    return ImageColor.getrgb(name)[:3] if name in ImageColor.colormap else _PLAIN


def _mixed(a: Colour, b: Colour, share: float) -> Colour:
    """``b`` with ``1 - share`` of ``a``."""
    red, green, blue = (round((1 - share) * x + share * y) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _darker(colour: Colour, share: float) -> Colour:
    return _mixed(colour, (0, 0, 0), 1 - share)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Area that two boxes (x0, y0, x1, y1) share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _wrapped(text: str, width: float, height: float, pixels: float) -> tuple[list[str], float]:
    """Lines of a name broken at its underscores and spaces, and the largest size up to ``pixels`` that fits."""
    words = text.replace("_", " ").split() or [text]
    while True:
        lines, face = [words[0]], font(pixels)
        for word in words[1:]:
            joined = f"{lines[-1]} {word}"
            if face.getlength(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(word)
        fits = max(map(face.getlength, lines)) <= width and len(lines) * 1.15 * pixels <= height
        if fits:
            return lines, pixels
        if pixels <= 8 * _SUPERSAMPLE:
            return [fit_text(line, width, pixels) for line in lines[: max(int(height / (1.15 * pixels)), 1)]], pixels
        pixels *= 0.92
