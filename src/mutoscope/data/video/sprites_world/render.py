"""Frames from a script: a character's cell laid over a crop of a landscape."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mutoscope.data.video.sprites_world.sheets import CELL, Character, Pixels

#: of the frames; the original's
HEIGHT, WIDTH = 96, 128
_PICTURE, _ENLARGED = 256, 281
#: weights of the colours in grey, as Pillow converts
_LUMA = np.array([19595, 38470, 7471])
#: pixels in the frame by which the background's content moves where its crop moves by one, right and down
BACKGROUND_MOTION = (-WIDTH / _PICTURE, -HEIGHT / _PICTURE)


class Landscape:
    """What lies behind the characters, as far as the camera goes.

    Args:
        picture: ``[h, w, 3]`` uint8 of any size.
    """

    def __init__(self, picture: Pixels) -> None:
        square = Image.fromarray(picture).resize((_PICTURE, _PICTURE), Image.Resampling.LANCZOS)
        self._enlarged = square.resize((_ENLARGED, _ENLARGED), Image.Resampling.LANCZOS)
        # 625 of them, 23 MB
        self.view = lru_cache(maxsize=None)(self._view)

    def _view(self, x: int, y: int) -> Pixels:
        crop = self._enlarged.crop((x, y, x + _PICTURE, y + _PICTURE))
        return np.asarray(crop.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


@lru_cache(maxsize=1)
def landscape(seed: int = 0) -> Pixels:
    """A valley ``[256, 256, 3]``: sky, ridges one behind the other, meadows with trees; the same array every time."""
    random = np.random.default_rng(seed)
    side = _PICTURE
    rows = np.linspace(0, 1, side)[:, None, None]
    picture = (1 - rows) * np.array([92, 150, 220]) + rows * np.array([214, 228, 236]) + np.zeros((side, side, 3))
    x = np.arange(side)
    for layer in range(5):
        near = layer / 4
        waves = np.zeros(side)
        for k in (1, 2, 3, 5, 8):
            turns = k * x / side * random.uniform(0.7, 1.6) + random.random()
            waves += random.uniform(0.3, 1) / k * np.sin(2 * np.pi * turns)
        ridge = side * (0.34 + 0.15 * layer) - (26 - 3 * layer) * waves
        colour = (1 - near) * np.array([120, 140, 176]) + near * np.array([74, 128, 58])
        below = np.arange(side)[:, None] >= ridge[None]
        depth = np.clip((np.arange(side)[:, None] - ridge[None]) / 60, 0, 1)[..., None]
        picture = np.where(below[..., None], colour * (1 - 0.3 * depth), picture)
        for _ in range(10 * layer):
            column, size = int(random.integers(side)), random.uniform(2, 3 + 2.2 * layer)
            foot = ridge[column] + random.uniform(2, 34)
            there = (x[None] - column) ** 2 + 0.6 * (np.arange(side)[:, None] - foot) ** 2 < size**2
            picture = np.where((there & below)[..., None], colour * random.uniform(0.5, 0.75), picture)
    grain = random.normal(0, 3, (side, side, 1))
    drawn = np.clip(picture + grain, 0, 255).round().astype(np.uint8)
    drawn.setflags(write=False)
    return drawn


def draw(
    character: Character,
    place: tuple[NDArray[np.int64], NDArray[np.int64]],
    position: NDArray[np.int64],
    background: Pixels,
    *,
    legacy_mask: bool = False,
) -> tuple[Pixels, Pixels]:
    """Frames ``[t, 96, 128, 3]`` and masks ``[t, 96, 128]``, 255 where the character is.

    Args:
        character: who.
        place: actions and frames of their cycles, ``[t]`` each.
        position: ``[t, 2]`` top-left corner of the cell.
        background: ``[t, 96, 128, 3]``; overwritten.
        legacy_mask: as released: every colour channel that is not 0 covers the background, so that it shines through
            black outlines, and masks are the luma of that.
    """
    masks = np.zeros(background.shape[:3], np.uint8)
    colours, solid = character.colours[place], character.solid[place]
    for frame, (x, y) in enumerate(position):
        here = (frame, slice(y, y + CELL), slice(x, x + CELL))
        if legacy_mask:
            covers = colours[frame] > 0
            masks[here] = ((255 * covers) @ _LUMA + 0x8000) >> 16
        else:
            covers = solid[frame][..., None]
            masks[here] = 255 * solid[frame]
        background[here] = np.where(covers, colours[frame], background[here])
    return background, masks
