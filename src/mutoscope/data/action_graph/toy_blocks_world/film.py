"""From a play to pictures: a z-buffer of ray-cast solids over a ground with soft shadows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mutoscope.data.action_graph.toy_blocks_world.camera import EYE, HEIGHT, VIEW, WIDTH, project, rays
from mutoscope.data.action_graph.toy_blocks_world.choreography import Play
from mutoscope.data.action_graph.toy_blocks_world.light import SHADOW_SCALE, Lamps, color_of, darken, ground, shade
from mutoscope.data.action_graph.toy_blocks_world.solids import intersect

Floats = NDArray[np.float32]

#: solids are drawn at twice the size and reduced
_FINE = 2
#: pixels per unit of length at depth 1
_FOCAL = float(np.linalg.norm(VIEW[0, :3])) * WIDTH / 2


@dataclass(frozen=True)
class Tile:
    """One object alone, at twice the picture's size.

    Args:
        rows, columns: the part of the picture.
        depth: ``[h, w]`` in ray lengths, infinite beside the object.
        picture: ``[h, w, 4]`` uint8 colours and cover (0 or 255).
    """

    rows: slice
    columns: slice
    depth: Floats
    picture: NDArray[np.uint8]


@dataclass
class Layer:
    """Some objects together: colours and cover, depth (both at twice the size), and the light on the ground."""

    picture: NDArray[np.uint8]
    depth: Floats
    light: Floats

    @classmethod
    def empty(cls) -> "Layer":
        shape, small = (HEIGHT * _FINE, WIDTH * _FINE), (round(HEIGHT * SHADOW_SCALE), round(WIDTH * SHADOW_SCALE))
        return cls(
            picture=np.zeros((*shape, 4), dtype=np.uint8),
            depth=np.full(shape, np.inf, dtype=np.float32),
            light=np.ones(small, dtype=np.float32),
        )

    def copy(self) -> "Layer":
        return Layer(self.picture.copy(), self.depth.copy(), self.light.copy())

    def put(self, tile: Tile) -> None:
        """Add an object where it is nearer than what is there."""
        depth = self.depth[tile.rows, tile.columns]
        nearer = tile.depth < depth
        np.copyto(depth, tile.depth, where=nearer)
        np.copyto(
            self.picture[tile.rows, tile.columns].view(np.uint32)[..., 0],
            tile.picture.view(np.uint32)[..., 0],
            where=nearer,
        )


class Film:
    """Draws the frames of a play.

    Args:
        play: what happens.
        lamps: what shines on it.
    """

    def __init__(self, play: Play, lamps: Lamps) -> None:
        self.play, self.lamps = play, lamps
        self._ground = ground(lamps)
        self._rays = rays(_FINE)
        self._solids = [block.solid for block in play.blocks]
        self._still: tuple[NDArray[np.bool_], int, Layer, NDArray[np.uint8]] | None = None
        #: whether an object differs from frame to frame, ``[f - 1, n]``
        self._moves = (
            (play.places[1:] != play.places[:-1]).any(-1)
            | (play.turns[1:] != play.turns[:-1]).any((-1, -2))
            | (play.hidden[1:] != play.hidden[:-1])
            | (play.ceiling[1:] != play.ceiling[:-1])
        )

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """All frames in order, ``[h, w, 3]`` uint8."""
        for frame in range(len(self.play.places)):
            yield self.frame(frame)

    def frame(self, frame: int) -> NDArray[np.uint8]:
        """One frame, ``[h, w, 3]`` uint8; quickest in order."""
        moving = self._moves[max(frame - 1, 0) : frame + 1].any(0)
        still, picture = self._unmoved(frame, moving)
        if not moving.any():
            return picture.copy()
        layer, picture = still.copy(), picture.copy()
        top, bottom = HEIGHT, 0
        for i in np.flatnonzero(moving):
            rows = self._add(layer, frame, int(i))
            top, bottom = min(top, rows.start), max(bottom, rows.stop)
        if top < bottom:
            picture[top:bottom] = self._developed(layer, slice(top, bottom))
        return picture

    def tile(self, frame: int, i: int) -> Tile | None:
        """One object of one frame, or ``None`` where nothing of it is in the picture."""
        play, solid = self.play, self._solids[i]
        place, turn = play.places[frame, i], play.turns[frame, i]
        depth = float(VIEW[2, :3] @ place + VIEW[2, 3])
        reach = _FOCAL * solid.ball / (depth - solid.ball) + 1
        x, y = project(place)
        left, right = (int(np.clip(side * _FINE, 0, WIDTH * _FINE)) for side in (x - reach, x + reach))
        top, bottom = (int(np.clip(side * _FINE, 0, HEIGHT * _FINE)) for side in (y - reach, y + reach))
        rows, columns = slice(top, bottom), slice(left, right)
        ray = self._rays[:, rows, columns].reshape(3, -1)
        if ray.size == 0:
            return None
        own = turn.T.astype(np.float32)
        hits = intersect(solid, own @ (EYE - place).astype(np.float32), own @ ray)
        ray = ray[:, hits.rays]
        height = np.float32(EYE[2]) + hits.depth * ray[2]
        normal = turn.astype(np.float32) @ hits.normal
        block = play.blocks[i]
        color = shade(color_of(block.color), block.material == "metal", self.lamps, place, normal, ray, height)
        color *= np.where(hits.inner, np.float32(0.5), np.float32(1))
        shown = height < play.ceiling[frame, i]
        size = (bottom - top, right - left)
        distance = np.full(size, np.inf, dtype=np.float32)
        distance.reshape(-1)[hits.rays] = np.where(shown, hits.depth, np.float32(np.inf))
        picture = np.full((*size, 4), 255, dtype=np.uint8)
        picture.reshape(-1, 4)[hits.rays, :3] = np.clip(color, 0, 255).T
        return Tile(rows, columns, distance, picture)

    def _unmoved(self, frame: int, moving: NDArray[np.bool_]) -> tuple[Layer, NDArray[np.uint8]]:
        """What does not move now and how it looks, drawn anew only when that changes."""
        if self._still is not None:
            same, since, layer, picture = self._still
            first, last = sorted((since, frame))
            if (same == moving).all() and not self._moves[first:last, ~moving].any():
                return layer, picture
        layer = Layer.empty()
        for i in np.flatnonzero(~moving):
            self._add(layer, frame, int(i))
        picture = self._developed(layer, slice(0, HEIGHT))
        self._still = (moving, frame, layer, picture)
        return layer, picture

    def _add(self, layer: Layer, frame: int, i: int) -> slice:
        """Put an object into a layer; answers which rows of the picture changed."""
        if self.play.hidden[frame, i]:
            return slice(HEIGHT, 0)
        shadow = darken(layer.light, self._solids[i], self.play.places[frame, i], self.lamps)
        # enlarging mixes neighbouring rows
        top, bottom = round((shadow.start - 1) / SHADOW_SCALE), round((shadow.stop + 1) / SHADOW_SCALE)
        if (tile := self.tile(frame, i)) is not None:
            layer.put(tile)
            top, bottom = min(top, tile.rows.start // _FINE), max(bottom, -(-tile.rows.stop // _FINE))
        return slice(max(top, 0), min(bottom, HEIGHT))

    def _developed(self, layer: Layer, rows: slice) -> NDArray[np.uint8]:
        """Rows of the picture that a layer makes with the ground, ``[h, w, 3]``."""
        drawn = layer.picture[rows.start * _FINE : rows.stop * _FINE]
        # four bands that Pillow reduces one by one
        bands = Image.frombuffer("CMYK", (drawn.shape[1], drawn.shape[0]), drawn, "raw", "CMYK", 0, 1)
        solids = np.asarray(bands.reduce(_FINE))
        box = (0, rows.start * SHADOW_SCALE, WIDTH * SHADOW_SCALE, rows.stop * SHADOW_SCALE)
        size = (WIDTH, rows.stop - rows.start)
        light = np.asarray(Image.fromarray(layer.light).resize(size, Image.Resampling.BILINEAR, box=box))
        light = light * (1 - solids[..., 3] * np.float32(1 / 255))
        picture = self._ground[rows] * light[..., None]
        picture += solids[..., :3]
        picture += np.float32(0.5)
        return np.minimum(picture, np.float32(255), out=picture).astype(np.uint8)
