"""Skeleton clips -> frames: coloured by side, ordered by depth, standing on a floor, to one scale per figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from mutoscope.render.camera import FRONT, HEAD, THREE_QUARTER, Bounds, Camera, View, head_joint, to_world, track
from mutoscope.render.canvas import INK, MUTED, Array, Colour, Frames, blend, fit_text, font, nice_length
from mutoscope.structures import Skeleton

Source = Literal["real", "generated"]

#: from the palette of Okabe and Ito, told apart with every common kind of colour blindness
SIDE_COLOURS: dict[str, Colour] = {"left": (0, 114, 178), "right": (213, 94, 0), "middle": (64, 66, 72)}
#: page colour behind real and generated clips; generated ones also get a dashed frame
PAPER: dict[Source | None, Colour] = {None: (255, 255, 255), "real": (255, 255, 255), "generated": (250, 244, 228)}
_SUPERSAMPLE = 3
#: bone width in statures
_BONE = 0.029


def tips(skeleton: Skeleton) -> tuple[int, ...]:
    """Ends of the limbs, one per limb: the joints whose paths a trail shows."""
    parents = set(skeleton.parents)
    ends = {skeleton.parents[j]: j for j in reversed(range(skeleton.num_joints)) if j not in parents}
    return tuple(sorted(ends.values()))


def draw_motion(
    joints: Tensor | NDArray[np.floating],
    skeleton: Skeleton,
    *,
    size: tuple[int, int] = (200, 200),
    camera: Camera = THREE_QUARTER,
    bounds: Bounds | None = None,
    title: str = "",
    source: Source | None = None,
    framed: bool = True,
    trail: int = 0,
    shown: Sequence[int] | None = None,
) -> Frames:
    """Draw a clip: left limbs blue, right limbs orange, the middle grey; what is nearer is darker and in front.

    Args:
        joints: ``[t, v, c]``, 3-D (up axis as the skeleton says) or 2-D (x, y up), in any unit.
        skeleton: bones, sides and head.
        size: (height, width) in pixels.
        camera: where from; it keeps its scale over the clip.
        bounds: what must fit into the picture; around this clip unless given. Give clips shown side by side the same.
        title: written at the top.
        source: tells real from generated clips: paper of another colour and, if ``framed``, a frame (dashed around
            generated clips) and the word itself.
        framed: see ``source``.
        trail: how many past frames of the paths of hands, feet and head are drawn.
        shown: numbers of the frames that are drawn, ``t`` in the result; all by default.

    Returns:
        ``[t, h, w, 3]`` uint8.

    Raises:
        ValueError: clip of wrong shape or not finite, picture smaller than 32 pixels.
    """
    stage = _Stage.build(joints, skeleton, size, camera, bounds, title, source, framed)
    return np.stack([stage.frame([i], trail) for i in (range(len(stage.points)) if shown is None else shown)])


def draw_strobe(
    joints: Tensor | NDArray[np.floating],
    skeleton: Skeleton,
    *,
    poses: int = 6,
    size: tuple[int, int] = (200, 200),
    camera: Camera = THREE_QUARTER,
    bounds: Bounds | None = None,
    title: str = "",
    source: Source | None = None,
    framed: bool = True,
) -> Frames:
    """One picture ``[h, w, 3]`` uint8 of a whole clip: poses evenly spaced in time over each other, the last darkest.

    Arguments as in :func:`draw_motion`.
    """
    stage = _Stage.build(joints, skeleton, size, camera, bounds, title, source, framed)
    return stage.frame(key_frames(len(stage.points), poses), trail=0)


def key_frames(length: int, count: int) -> list[int]:
    """``count`` frame numbers evenly spaced over a clip, first and last included (fewer where the clip is shorter)."""
    if length < 1 or count < 1:
        raise ValueError(f"Cannot pick {count} key frames of {length} frames; both must be at least 1.")
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


@dataclass(frozen=True)
class _Stage:
    """Everything about a clip that is computed once; ``frame`` then only draws."""

    skeleton: Skeleton
    view: View
    bounds: Bounds
    paper: Colour
    back: Image.Image
    world: Array
    points: Array
    near: Array
    shadow: Array
    path: Array
    flat: bool
    follow: bool
    title: str
    source: Source | None
    framed: bool

    @classmethod
    def build(
        cls,
        joints: Tensor | NDArray[np.floating],
        skeleton: Skeleton,
        size: tuple[int, int],
        camera: Camera,
        bounds: Bounds | None,
        title: str,
        source: Source | None,
        framed: bool,
    ) -> "_Stage":
        if min(size) < 32:
            raise ValueError(f"Pictures of {size[0]} x {size[1]} pixels are too small, expected at least 32 x 32.")
        world = to_world(joints, skeleton)
        flat = joints.shape[-1] == 2
        if flat:
            camera = Camera(FRONT.azimuth, FRONT.elevation, FRONT.distance, camera.follow)
        if bounds is None:
            bounds = Bounds.around([joints], skeleton, camera.follow)
        h, w = size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE
        unit = min(h, w)
        box = (0.06 * w, 0.05 * unit + (0.09 * unit if title else 0.0), 0.94 * w, h - 0.07 * unit)
        view = View.fit(camera, bounds, box)
        path = track(world, skeleton, camera.follow)
        ground = world - path[:, None]
        points, near = view.project(ground)
        ground[..., 1] = bounds.floor
        shadow, _ = view.project(ground)
        paper = PAPER[source]
        stage = cls(
            skeleton,
            view,
            bounds,
            paper,
            Image.new("RGB", (w, h), paper),
            world,
            points,
            near,
            shadow,
            path,
            flat,
            camera.follow,
            title,
            source,
            framed,
        )
        if not camera.follow:
            stage.set(ImageDraw.Draw(stage.back), path[0])
        return stage

    def set(self, draw: ImageDraw.ImageDraw, origin: Array) -> None:
        """What stands behind the figure: floor, title, frame."""
        self.floor(draw, origin)
        w, h = self.back.size
        text = max(0.062 * min(w, h), 10 * _SUPERSAMPLE)
        if self.title:
            draw.text((0.03 * w, 0.02 * h), fit_text(self.title, 0.94 * w, text), INK, font(text))
        if self.source and self.framed:
            small = 0.85 * text
            draw.text((0.03 * w, h - 0.025 * h - small), self.source, MUTED, font(small))
            rim = _SUPERSAMPLE
            step = 6 * _SUPERSAMPLE if self.source == "generated" else max(w, h)
            for at in range(0, max(w, h), 2 * step):
                draw.rectangle((at, 0, at + step, rim - 1), MUTED)
                draw.rectangle((at, h - rim, at + step, h), MUTED)
                draw.rectangle((0, at, rim - 1, at + step), MUTED)
                draw.rectangle((w - rim, at, w, at + step), MUTED)

    def floor(self, draw: ImageDraw.ImageDraw, origin: Array) -> None:
        """A chequered ground, fading outwards, whose squares stay where they are in the world."""
        low, high, floor = self.bounds.low, self.bounds.high, self.bounds.floor
        if self.flat:
            y = float(self.view.project(np.array([0.0, floor, 0.0]))[0][1])
            w, h = self.back.size
            draw.rectangle((0, y, w, h), blend(self.paper, INK, 0.05))
            draw.line((0, y, w, y), blend(self.paper, INK, 0.3), _SUPERSAMPLE)
            return
        middle, half = (low + high)[[0, 2]] / 2, (high - low)[[0, 2]] / 2 + 0.35 * self.bounds.stature
        square = nice_length(max(self.bounds.stature / 4, float(half.max()) / 8))
        first = np.floor((middle - half + origin[[0, 2]]) / square).astype(int)
        last = np.ceil((middle + half + origin[[0, 2]]) / square).astype(int)
        i, k = np.meshgrid(np.arange(first[0], last[0]), np.arange(first[1], last[1]), indexing="ij")
        cells = np.stack([i, k], -1).reshape(-1, 2)
        away = np.linalg.norm(((cells + 0.5) * square - origin[[0, 2]] - middle) / half, axis=-1)
        corners = (cells[:, None] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])) * square - origin[[0, 2]]
        at = np.stack([corners[..., 0], np.full(corners.shape[:2], floor), corners[..., 1]], -1)
        pixels, near = self.view.project(at)
        visible = np.clip(1.25 - away, 0.0, 0.6) / 0.6
        depth = np.clip(0.5 + near.mean(1) / (2 * max(float(np.linalg.norm(half)), 1e-9)), 0.0, 1.0)
        strength = visible * (0.035 + 0.035 * depth) * np.where(cells.sum(1) % 2 == 0, 1.9, 1.0)
        for polygon, share in zip(pixels.reshape(len(cells), -1).tolist(), strength.tolist(), strict=True):
            if share > 0.002:
                draw.polygon(polygon, blend(self.paper, INK, share))

    def frame(self, poses: Sequence[int], trail: int) -> Frames:
        """The picture ``[h, w, 3]`` of one pose or several; earlier ones are paler."""
        image = self.back.copy()
        draw = ImageDraw.Draw(image)
        if self.follow:
            self.set(draw, self.path[poses[-1]])
        bone = max(round(_BONE * self.bounds.stature * self.view.scale), 2 * _SUPERSAMPLE)
        if not self.flat:
            for pose in poses:
                self.cast(draw, pose, bone)
        if trail > 0:
            self.trace(draw, poses[-1], trail, bone)
        for order, pose in enumerate(poses):
            self.body(draw, pose, bone, fade=0.78 * (1 - (order + 1) / len(poses)))
        return np.asarray(image.reduce(_SUPERSAMPLE))

    def cast(self, draw: ImageDraw.ImageDraw, pose: int, bone: int) -> None:
        spots, colour = self.shadow[pose].tolist(), blend(self.paper, INK, 0.2)
        for a, b in self.skeleton.bones:
            draw.line((*spots[a], *spots[b]), colour, bone)

    def trace(self, draw: ImageDraw.ImageDraw, pose: int, trail: int, bone: int) -> None:
        first = max(0, pose - trail)
        paths, _ = self.view.project(self.world[first : pose + 1] - self.path[pose])
        for joint in tips(self.skeleton):
            spots = paths[:, joint].tolist()
            colour = SIDE_COLOURS[self.skeleton.side(joint)]
            for age, (a, b) in enumerate(pairwise(spots)):
                fade = 0.9 - 0.6 * (age + 1) / max(len(spots) - 1, 1)
                draw.line((*a, *b), blend(colour, self.paper, fade), max(round(bone * 0.45), _SUPERSAMPLE))

    def body(self, draw: ImageDraw.ImageDraw, pose: int, bone: int, fade: float) -> None:
        spots, near = self.points[pose].tolist(), self.near[pose]
        span = max(float(np.ptp(near)), 0.25 * self.bounds.stature)
        far = ((near.max() - near) / span).tolist()
        head = head_joint(self.skeleton)
        things = [((far[a] + far[b]) / 2, a, b) for a, b in self.skeleton.bones]
        if head is not None:
            things.append((far[head] - 0.01, head, head))
        for depth, a, b in sorted(things, reverse=True):
            colour = blend(SIDE_COLOURS[self.skeleton.side(b)], self.paper, 1 - (1 - fade) * (1 - 0.42 * depth))
            (x0, y0), (x1, y1) = spots[a], spots[b]
            if a == b:
                r = HEAD * self.bounds.stature * self.view.scale
                rim = r + bone * 0.35
                draw.ellipse((x0 - rim, y0 - rim, x0 + rim, y0 + rim), self.paper)
                draw.ellipse((x0 - r, y0 - r, x0 + r, y0 + r), colour)
                continue
            # A halo along the middle of the bone shows which of two crossing limbs is in front and leaves joints whole.
            ax, ay, bx, by = x0 + 0.2 * (x1 - x0), y0 + 0.2 * (y1 - y0), x1 + 0.2 * (x0 - x1), y1 + 0.2 * (y0 - y1)
            draw.line((ax, ay, bx, by), self.paper, round(bone * 1.7))
            draw.line((x0, y0, x1, y1), colour, bone)
            r = bone / 2
            draw.ellipse((x0 - r, y0 - r, x0 + r, y0 + r), colour)
            draw.ellipse((x1 - r, y1 - r, x1 + r, y1 + r), colour)
