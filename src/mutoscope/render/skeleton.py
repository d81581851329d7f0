"""Skeleton clips -> frames: coloured by side, ordered by depth, standing on a floor, to one scale per figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mutoscope.structures import Skeleton

Array = NDArray[np.float64]
Frames = NDArray[np.uint8]
Colour = tuple[int, int, int]
Motion = Tensor | NDArray[np.floating]
Source = Literal["real", "generated"]

#: from the palette of Okabe and Ito, told apart with every common kind of colour blindness
SIDE_COLOURS: dict[str, Colour] = {"left": (0, 114, 178), "right": (213, 94, 0), "middle": (64, 66, 72)}
INK: Colour = (40, 42, 48)
MUTED: Colour = (118, 121, 130)
#: page colour behind real and generated clips; generated ones also get a dashed frame
PAPER: dict[Source | None, Colour] = {None: (255, 255, 255), "real": (255, 255, 255), "generated": (250, 244, 228)}
_SUPERSAMPLE = 3
#: head radius and bone width in statures
_HEAD, _BONE = 0.062, 0.029


@dataclass(frozen=True)
class Camera:
    """Where a 3-D clip is seen from; 2-D clips are always seen as they are.

    Args:
        azimuth: degrees around the up axis; 0 stands before a person who faces +z, 90 at their left hand.
        elevation: degrees above the horizon.
        distance: of the eye, in radii of what it looks at; smaller is more perspective, infinity is orthographic.
        follow: travel along with the root over the floor instead of standing still.
    """

    azimuth: float = 35.0
    elevation: float = 14.0
    distance: float = 6.0
    follow: bool = False

    def __post_init__(self) -> None:
        if not self.distance > 1.5:
            raise ValueError(f"Camera.distance is {self.distance} radii, expected more than 1.5 (inf: orthographic).")

    @property
    def axes(self) -> Array:
        """``[3, 3]``: the rows point right, up and towards the eye, in world coordinates."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        return np.array(
            [
                [math.cos(a), 0.0, -math.sin(a)],
                [-math.sin(a) * math.sin(e), math.cos(e), -math.cos(a) * math.sin(e)],
                [math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)],
            ]
        )


#: three quarters from the front, a little from above: the person's left is at the right of the picture
THREE_QUARTER = Camera()
#: the same, travelling along, so that figures stay large however far they walk
FOLLOWING = Camera(follow=True)
#: straight from the front, without perspective: the only view of 2-D data
FRONT = Camera(azimuth=0.0, elevation=0.0, distance=math.inf)


@dataclass(frozen=True)
class Bounds:
    """What a camera must show; clips drawn with equal bounds and camera have equal scale.

    Args:
        points: the outermost places (x, y up, z) in some hundred directions, so that every camera can fit them tightly.
        floor: height of the ground.
        stature: height of a person standing upright, which sets bone width and head size.
    """

    points: tuple[tuple[float, float, float], ...]
    floor: float
    stature: float

    @property
    def low(self) -> Array:
        """Lower corner ``[3]`` of the box around everything."""
        return np.min(self.points, axis=0)

    @property
    def high(self) -> Array:
        """Upper corner ``[3]`` of the box around everything."""
        return np.max(self.points, axis=0)

    @classmethod
    def around(
        cls, clips: Sequence[Tensor | NDArray[np.floating]], skeleton: Skeleton, follow: bool = False
    ) -> "Bounds":
        """Bounds of several clips ``[t, v, c]`` (lengths may differ), as a camera with this ``follow`` sees them.

        The floor is the median over clips of their lowest point, so that one wild clip does not move it.
        """
        if not clips:
            raise ValueError("Bounds need at least one clip to fit around, got none.")
        worlds = [to_world(clip, skeleton) for clip in clips]
        stature = max(float(np.median([_stature(world, skeleton) for world in worlds])), 1e-6)
        seen = [world - track(world, skeleton, follow)[:, None] for world in worlds]
        floor = float(np.median([places[..., 1].min() for places in seen]))
        head = head_joint(skeleton)
        disc = np.concatenate([np.eye(3), -np.eye(3)]) * _HEAD * stature
        outermost = []
        for places in seen:
            around_head = np.zeros((0, 3)) if head is None else (places[:, head, None] + disc).reshape(-1, 3)
            outermost.append(_outermost(np.concatenate([places.reshape(-1, 3), around_head])))
        points = _outermost(np.concatenate(outermost))
        return cls(tuple((float(x), float(y), float(z)) for x, y, z in points), floor, stature)


def to_world(joints: Tensor | NDArray[np.floating], skeleton: Skeleton) -> Array:
    """Any clip as ``[t, v, 3]`` float64 with y up: 3-D data by the skeleton's up axis, 2-D data (x, y up) at z = 0.

    Raises:
        ValueError: wrong shape, no frames, or numbers that are not finite.
    """
    array = np.asarray(joints.detach().cpu() if isinstance(joints, Tensor) else joints, dtype=np.float64)
    v = skeleton.num_joints
    if array.ndim != 3 or array.shape[1] != v or array.shape[2] not in (2, 3) or not len(array):
        raise ValueError(
            f"A motion clip has shape {list(array.shape)}, expected [t, {v}, 2 or 3] for skeleton '{skeleton.name}'."
        )
    if not np.isfinite(array).all():
        frame = int(np.argmin(np.isfinite(array).all((1, 2))))
        raise ValueError(
            f"A motion clip holds numbers that are not finite (first in frame {frame}), expected coordinates only; "
            "the model that made it may have diverged."
        )
    if array.shape[2] == 2:
        return np.concatenate([array, np.zeros_like(array[..., :1])], axis=-1)
    if skeleton.up_axis == 1:
        return array
    a, b = (axis for axis in range(3) if axis != skeleton.up_axis)
    return np.stack([array[..., a], array[..., skeleton.up_axis], -array[..., b]], axis=-1)


def track(world: Array, skeleton: Skeleton, follow: bool = True) -> Array:
    """Where the camera goes: the root's smoothed ground position ``[t, 3]`` (zeros where it does not follow)."""
    path = np.zeros((len(world), 3))
    if follow:
        reach = min(4, len(world) - 1)
        padded = np.pad(world[:, skeleton.root], ((reach, reach), (0, 0)), mode="edge")
        path[:, [0, 2]] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).mean(-1)[:, [0, 2]]
    return path


def head_joint(skeleton: Skeleton) -> int | None:
    """The joint drawn as a disc: the one named head, if there is one."""
    return next((j for j, name in enumerate(skeleton.joints) if name.lower() == "head"), None)


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

    Returns:
        ``[t, h, w, 3]`` uint8.

    Raises:
        ValueError: clip of wrong shape or not finite, picture smaller than 32 pixels.
    """
    stage = _Stage.build(joints, skeleton, size, camera, bounds, title, source, framed)
    return np.stack([stage.frame([i], trail) for i in range(len(stage.points))])


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


def grid(videos: Sequence[Frames], titles: Sequence[str] = (), columns: int = 4, gap: int = 6) -> Frames:
    """Videos of one size side by side, row by row; shorter ones stay on their last frame.

    Args:
        videos: each ``[t, h, w, 3]`` uint8; lengths may differ.
        titles: written above the cells; none, or one for every video.
        columns: cells per row.
        gap: pixels between cells.

    Returns:
        ``[t, h, w, 3]`` uint8.

    Raises:
        ValueError: no videos, sizes that differ, or another number of titles.
    """
    if not videos or columns < 1:
        raise ValueError(f"A grid needs videos and at least one column, got {len(videos)} videos, {columns} columns.")
    if len(sizes := {video.shape[1:] for video in videos}) != 1:
        raise ValueError(f"A grid needs videos of one size, got {', '.join(map(str, sorted(sizes)))}.")
    if titles and len(titles) != len(videos):
        raise ValueError(f"A grid got {len(titles)} titles for {len(videos)} videos; give one for each, or none.")
    h, w, _ = videos[0].shape[1:]
    head = 18 if titles else 0
    columns = min(columns, len(videos))
    rows = -(-len(videos) // columns)
    length = max(len(video) for video in videos)
    page = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + head + gap) + gap), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    corners = [(gap + (i % columns) * (w + gap), gap + (i // columns) * (h + head + gap)) for i in range(len(videos))]
    for (x, y), title in zip(corners, titles, strict=False):
        draw.text((x + 2, y), fit_text(title, w - 4, 13), INK, font(13))
    out = np.repeat(np.asarray(page)[None], length, axis=0)
    for (x, y), video in zip(corners, videos, strict=True):
        out[:, y + head : y + head + h, x : x + w] = video[np.minimum(np.arange(length), len(video) - 1)]
    return out


def font(pixels: float) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow, so that pictures look the same everywhere."""
    loaded = ImageFont.load_default(pixels)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


def fit_text(text: str, width: float, pixels: float) -> str:
    """The text, shortened with an ellipsis where it is wider than ``width`` pixels."""
    face = font(pixels)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _stature(world: Array, skeleton: Skeleton) -> float:
    """Length along the bones from the farthest foot over the root to the end of the trunk, whatever the pose."""
    lengths = {j: float(np.median(np.linalg.norm(world[:, j] - world[:, p], axis=-1))) for p, j in skeleton.bones}

    def to_root(joint: int) -> float:
        total = 0.0
        while (parent := skeleton.parents[joint]) != -1:
            total, joint = total + lengths[joint], parent
        return total

    trunk = [to_root(j) for j in range(skeleton.num_joints) if skeleton.side(j) == "middle"]
    return max((to_root(j) for j in skeleton.feet), default=0.0) + max(trunk)


def _directions(count: int) -> Array:
    """``[count + 6, 3]``: the axes, both ways, and a spiral that covers the sphere evenly (golden angle)."""
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))
    y = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - y**2)
    spiral = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)
    return np.concatenate([np.eye(3), -np.eye(3), spiral])


def _outermost(points: Array) -> Array:
    """Of ``[n, 3]``, those that lie farthest in one of many directions."""
    return points[np.unique((points @ _directions(128).T).argmax(axis=0))]


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with a share in [0, 1] of ``b``."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


@dataclass(frozen=True)
class _View:
    """Camera, bounds and picture size put together: world -> pixels of the supersampled canvas."""

    axes: Array
    centre: Array
    eye: float
    scale: float
    shift: Array

    @classmethod
    def fit(cls, camera: Camera, bounds: Bounds, box: tuple[float, float, float, float]) -> "_View":
        """The view whose box (left, top, right, bottom) in pixels just holds the bounds."""
        low, high = bounds.low, bounds.high
        centre = (low + high) / 2
        radius = max(float(np.linalg.norm(high - low)) / 2, bounds.stature / 2)
        raw = cls(camera.axes, centre, camera.distance * radius, 1.0, np.zeros(2))
        flat, _ = raw.project(np.array(bounds.points))
        extent = np.maximum(np.ptp(flat, axis=0), bounds.stature * 0.1)
        left, top, right, bottom = box
        scale = float(min((right - left) / extent[0], (bottom - top) / extent[1]))
        middle = (flat.min(0) + flat.max(0)) / 2
        return cls(
            raw.axes, centre, raw.eye, scale, np.array([(left + right) / 2, (top + bottom) / 2]) - scale * middle
        )

    def project(self, world: Array) -> tuple[Array, Array]:
        """``[..., 3]`` -> pixels ``[..., 2]`` (y down) and nearness ``[...]`` in world units."""
        seen = (world - self.centre) @ self.axes.T
        near = seen[..., 2]
        shrink = 1.0 / np.maximum(1.0 - near / self.eye, 0.05)
        flat = seen[..., :2] * shrink[..., None] * (1.0, -1.0)
        return flat * self.scale + self.shift, near


@dataclass(frozen=True)
class _Stage:
    """Everything about a clip that is computed once; ``frame`` then only draws."""

    skeleton: Skeleton
    view: _View
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
        view = _View.fit(camera, bounds, box)
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
                r = _HEAD * self.bounds.stature * self.view.scale
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


def nice_length(length: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is at least ``length``."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= length * 0.999)
