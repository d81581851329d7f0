"""Little people that the program draws itself, in the geometry of the Liberated Pixel Cup's sheets."""

from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]
View = Literal["front", "left", "right"]

#: frames of every animation
CYCLE = 8
_CELL = 64
#: drawn so many times larger, so that limbs end between pixels before they are made pixels of again
_FINE = 4
_COLOURS: dict[str, tuple[Colour, ...]] = {
    "body": ((250, 214, 180), (222, 170, 124), (176, 124, 92), (138, 90, 62), (104, 66, 44), (166, 178, 120)),
    "bottomwear": ((232, 232, 226), (214, 172, 60), (188, 60, 52), (128, 136, 150), (52, 148, 148), (48, 52, 72)),
    "topwear": ((150, 40, 60), (40, 146, 140), (240, 238, 230), (150, 158, 172), (132, 92, 52), (84, 64, 140)),
    "hair": ((72, 168, 84), (70, 96, 200), (240, 206, 110), (244, 244, 244), (206, 50, 60), (130, 70, 170)),
    "shoes": ((196, 154, 44),),
}


@dataclass(frozen=True)
class _Pose:
    """Where joints are, in pixels of a cell; pairs are (far, near) or (left, right of the picture)."""

    head: Point
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    hips: tuple[Point, Point]
    knees: tuple[Point, Point]
    feet: tuple[Point, Point]


def _towards(start: Point, angle: float, length: float) -> Point:
    """``angle`` in degrees from straight down, positive to the right."""
    return start[0] + length * sin(angle * pi / 180), start[1] + length * cos(angle * pi / 180)


def _limb(start: Point, upper: float, lower: float, length: float) -> tuple[Point, Point]:
    middle = _towards(start, upper, length)
    return middle, _towards(middle, lower, length)


def _walking(view: View, phase: int) -> _Pose:
    swing = sin(2 * pi * phase / CYCLE)
    bob = abs(cos(2 * pi * phase / CYCLE)) * 1.5
    if view == "front":
        lift = (max(swing, 0) * 4, max(-swing, 0) * 4)
        hips = ((28.5, 44 - bob), (35.5, 44 - bob))
        knees = ((hips[0][0], 51 - bob - lift[0] / 2), (hips[1][0], 51 - bob - lift[1] / 2))
        feet = ((hips[0][0], 58 - lift[0]), (hips[1][0], 58 - lift[1]))
        shoulders = ((24.5, 32 - bob), (39.5, 32 - bob))
        arms = [
            _limb(s, side * 12, side * 4, 6.5 + lean)
            for s, side, lean in zip(shoulders, (-1, 1), (swing, -swing), strict=True)
        ]
        elbows, hands = (arms[0][0], arms[1][0]), (arms[0][1], arms[1][1])
        return _Pose((32, 20 - bob), shoulders, elbows, hands, hips, knees, feet)
    facing = -1 if view == "left" else 1
    hips = ((32, 44 - bob), (32, 44 - bob))
    legs = [_limb(hips[0], facing * turn * 32, facing * (turn * 32 - 14), 7.2) for turn in (-swing, swing)]
    shoulders = ((32, 32 - bob), (32, 32 - bob))
    arms = [_limb(shoulders[0], facing * turn * 34, facing * (turn * 34 + 22), 6.8) for turn in (swing, -swing)]
    return _Pose(
        (32 + facing, 20 - bob),
        shoulders,
        (arms[0][0], arms[1][0]),
        (arms[0][1], arms[1][1]),
        hips,
        (legs[0][0], legs[1][0]),
        (legs[0][1], legs[1][1]),
    )


def _standing(view: View, arms: tuple[tuple[float, float], tuple[float, float]], lean: float = 0.0) -> _Pose:
    """Still legs, and arms by the angles of their upper and lower half."""
    spread = 3.5 if view == "front" else 1.5
    facing = {"front": 0, "left": -1, "right": 1}[view]
    hips = ((32 - spread, 44.0), (32 + spread, 44.0))
    knees, feet = ((hips[0][0], 51.0), (hips[1][0], 51.0)), ((hips[0][0] - 0.5, 58.0), (hips[1][0] + 0.5, 58.0))
    width = 7.5 if view == "front" else 1.0
    shoulders = ((32 - width + lean, 32.0), (32 + width + lean, 32.0))
    limbs = [_limb(s, *angles, 6.8) for s, angles in zip(shoulders, arms, strict=True)]
    return _Pose(
        (32 + facing + lean, 20.0),
        shoulders,
        (limbs[0][0], limbs[1][0]),
        (limbs[0][1], limbs[1][1]),
        hips,
        knees,
        feet,
    )


def _casting(view: View, phase: int) -> _Pose:
    """Both arms rise and open."""
    share = (0, 0.3, 0.6, 0.85, 1, 1, 0.85, 0.35)[phase]
    opened = 30 * sin(2 * pi * phase / CYCLE)
    if view == "front":
        return _standing(
            view, ((-14 - 120 * share, -20 - 150 * share + opened), (14 + 120 * share, 20 + 150 * share - opened))
        )
    facing = -1 if view == "left" else 1
    raised = facing * (10 + 100 * share)
    return _standing(view, ((raised, raised + facing * (20 + opened)), (raised, raised + facing * (40 - opened))))


def _slashing(view: View, phase: int) -> _Pose:
    """One arm is drawn back and comes down, the body with it."""
    angle = (20, 150, 170, 120, 60, 10, 40, 20)[phase]
    lean = (0, -1.5, -2, 0, 2, 2.5, 1, 0)[phase]
    if view == "front":
        return _standing(view, ((-angle, -angle - 15), (16, 30)), lean)
    facing = -1 if view == "left" else 1
    return _standing(view, ((facing * -15, facing * 10), (facing * angle, facing * (angle + 12))), facing * lean)


#: what a stroke is made of, one channel each: the layer's colour, its shade, its edge, and eyes
_FILL, _SHADE, _EDGE, _EYE = ((255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255))
_EYES: Colour = (40, 40, 60)


class _Drawing:
    """The shape of one layer, without its colour; later strokes lie on top."""

    def __init__(self) -> None:
        self.picture = Image.new("CMYK", (_CELL * _FINE, _CELL * _FINE))
        self.draw = ImageDraw.Draw(self.picture)

    def stroke(self, points: list[Point], width: float, *, dark: bool = False) -> None:
        for tone, wide in ((_EDGE, width + 1.6), (_SHADE if dark else _FILL, width)):
            path = [(x * _FINE, y * _FINE) for x, y in points]
            self.draw.line(path, tone, round(wide * _FINE), "curve")
            for x, y in path:
                r = wide * _FINE / 2
                self.draw.ellipse((x - r, y - r, x + r, y + r), tone)

    def blob(self, centre: Point, across: float, down: float) -> None:
        x, y = centre
        for tone, more in ((_EDGE, 0.8), (_FILL, 0.0)):
            a, b = (across / 2 + more) * _FINE, (down / 2 + more) * _FINE
            self.draw.ellipse((x * _FINE - a, y * _FINE - b, x * _FINE + a, y * _FINE + b), tone)

    def eye(self, centre: Point) -> None:
        x, y = centre[0] * _FINE, centre[1] * _FINE
        self.draw.rectangle((x - 0.9 * _FINE, y - 1.2 * _FINE, x + 0.9 * _FINE, y + 1.2 * _FINE), _EYE)

    def tones(self) -> NDArray[np.float32]:
        """``[64, 64, 4]`` how much of each pixel is fill, shade, edge and eye."""
        small = self.picture.reduce(_FINE)
        return np.asarray(small, np.float32) / np.float32(255)


def _coloured(tones: NDArray[np.float32], colour: Colour) -> NDArray[np.uint8]:
    """``[..., 4]`` RGBA: every pixel is there or not, in the mean colour of what is there."""
    edge, shade = (tuple(v * share for v in colour) for share in (0.45, 0.78))
    palette = np.array([colour, shade, edge, _EYES], np.float32)
    share = tones.sum(-1, keepdims=True)
    solid = share >= 0.5
    mixed = np.where(solid, tones @ palette / np.maximum(share, 0.5), 0)
    return np.concatenate([mixed, 255.0 * solid], axis=-1).round().astype(np.uint8)


def _body(layer: _Drawing, pose: _Pose, view: View) -> None:
    for side in (0, 1):
        layer.stroke([pose.hips[side], pose.knees[side], pose.feet[side]], 4.2, dark=side == 0)
    layer.stroke([(pose.head[0], 27), (32, 43)], 10)
    for side in (0, 1):
        layer.stroke([pose.shoulders[side], pose.elbows[side], pose.hands[side]], 3.6, dark=side == 0)
    layer.blob(pose.head, 17, 17)
    eyes = {"front": (-3.2, 3.2), "left": (-4.6,), "right": (4.6,)}[view]
    for x in eyes:
        layer.eye((pose.head[0] + x, pose.head[1] + 1.5))


def _bottomwear(layer: _Drawing, pose: _Pose) -> None:
    for side in (0, 1):
        ankle = tuple(0.65 * a + 0.35 * b for a, b in zip(pose.feet[side], pose.knees[side], strict=True))
        layer.stroke([pose.hips[side], pose.knees[side], ankle], 5.2, dark=side == 0)  # type: ignore[list-item]
    layer.stroke([(28.5, 43.5), (35.5, 43.5)], 4.5)


def _topwear(layer: _Drawing, pose: _Pose, view: View) -> None:
    if view != "front":
        layer.stroke([pose.shoulders[0], pose.elbows[0]], 4.8, dark=True)
    wide = 13.5 if view == "front" else 10.5
    top = ((pose.shoulders[0][0] + pose.shoulders[1][0]) / 2, pose.shoulders[0][1] + 2.5)
    layer.stroke([top, (32, 40.5)], wide)
    for side in (0, 1) if view == "front" else (1,):
        layer.stroke([pose.shoulders[side], pose.elbows[side]], 4.8)


def _hair(layer: _Drawing, pose: _Pose, view: View, variant: int) -> None:
    x, y = pose.head
    back = {"front": 0.0, "left": 2.6, "right": -2.6}[view]
    layer.blob((x + back, y - 4.5), 19 + variant % 3, 11 + variant % 2)
    if view != "front":
        layer.blob((x + 2.2 * back, y + 1.0), 9, 13 + 2 * (variant % 3))
    elif variant % 2:
        layer.stroke([(x - 8.8, y - 2), (x - 9, y + 4 + variant)], 2.6)
        layer.stroke([(x + 8.8, y - 2), (x + 9, y + 4 + variant)], 2.6)


def _shoes(layer: _Drawing, pose: _Pose, view: View) -> None:
    toe = {"front": 0.0, "left": -2.2, "right": 2.2}[view]
    for side in (0, 1):
        x, y = pose.feet[side]
        layer.stroke([(x, y), (x + toe, y + 0.6)], 4.6, dark=side == 0)


def _shape(name: str, variant: int, pose: _Pose, view: View) -> NDArray[np.float32]:
    layer = _Drawing()
    if name == "body":
        _body(layer, pose, view)
    elif name == "bottomwear":
        _bottomwear(layer, pose)
    elif name == "topwear":
        _topwear(layer, pose, view)
    elif name == "hair":
        _hair(layer, pose, view, variant)
    else:
        _shoes(layer, pose, view)
    return layer.tones()


@cache
def drawn_layers() -> dict[str, NDArray[np.uint8]]:
    """Layers by name, ``[6, 576, 512, 4]`` RGBA: nine rows of animations (walk, spellcast, slash; each to the front, to
    the left and to the right), eight frames of 64x64 in each.
    """
    views: tuple[View, ...] = ("front", "left", "right")
    moves = (_walking, _casting, _slashing)
    rows = [[(move(view, phase), view) for phase in range(CYCLE)] for move in moves for view in views]

    def sheet(name: str, variant: int) -> NDArray[np.float32]:
        cells = [np.concatenate([_shape(name, variant, *pose) for pose in row], axis=1) for row in rows]
        return np.concatenate(cells, axis=0)

    layers = {}
    for name, colours in _COLOURS.items():
        # only hair has a cut of its own in every colour
        cuts = [sheet(name, i if name == "hair" else 0) for i in range(len(colours) if name == "hair" else 1)]
        layers[name] = np.stack([_coloured(cuts[i % len(cuts)], colour) for i, colour in enumerate(colours)])
    return layers
