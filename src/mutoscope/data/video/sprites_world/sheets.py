"""Sprite sheets: which cells of them an animation plays, and characters put together from layers."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mutoscope.data.video.sprites_world.drawn import CYCLE, drawn_layers

Pixels = NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)

#: side of a cell, and columns and rows of a sheet
CELL, COLUMNS, ROWS = 64, 13, 21
#: layers with six variants each, from the skin outwards; shoes are the same for everybody
LAYERS = ("body", "bottomwear", "topwear", "hair")
VARIANTS = 6
_SHOES = 1
#: local actions: name, row of the sheet, columns in the order in which they are played
ACTIONS: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    ("walk_front", 10, (8, 1, 2, 3, 4, 5, 6, 7)),
    ("walk_left", 9, (8, 1, 2, 3, 4, 5, 6, 7)),
    ("walk_right", 11, (8, 1, 2, 3, 4, 5, 6, 7)),
    ("spellcast_front", 2, (0, 1, 2, 3, 4, 5, 4, 6)),
    ("spellcast_left", 1, (0, 1, 2, 3, 4, 5, 4, 6)),
    ("spellcast_right", 3, (0, 1, 2, 3, 4, 5, 4, 6)),
    ("slash_front", 14, (0, 1, 2, 3, 4, 5, 4, 0)),
    ("slash_left", 13, (0, 1, 2, 3, 4, 5, 4, 0)),
    ("slash_right", 15, (0, 1, 2, 3, 4, 5, 4, 0)),
)


class Character(NamedTuple):
    """Animation frames of one character.

    Args:
        colours: ``[9, 8, 64, 64, 3]`` uint8, black where nothing is.
        solid: ``[9, 8, 64, 64]`` bool, where something is.
    """

    colours: Pixels
    solid: NDArray[np.bool_]


class Wardrobe:
    """All characters there are: bodies, trousers, shirts and hair in six variants each, and one pair of shoes.

    Args:
        layers: by name, ``[6, 576, 512, 4]`` RGBA (shoes ``[1, ...]``): nine rows of actions, eight cells each.
    """

    def __init__(self, layers: Mapping[str, Pixels]) -> None:
        self._layers = dict(layers)
        # a character takes a megabyte and some milliseconds
        self.character = lru_cache(maxsize=256)(self._character)

    @classmethod
    def drawn(cls) -> "Wardrobe":
        """Of sheets that this program draws."""
        return cls(drawn_layers())

    @classmethod
    def read(cls, folder: Path) -> "Wardrobe":
        """Of sheets ``<folder>/<layer>/<number>.png`` in the geometry of the Liberated Pixel Cup.

        Raises:
            FileNotFoundError: naming the sheet that is missing.
            ValueError: for a sheet of another size, or a file that is no picture.
        """
        layers = {name: np.stack([_cells(folder / name / f"{i}.png") for i in range(VARIANTS)]) for name in LAYERS}
        return cls({**layers, "shoes": _cells(folder / "shoes" / f"{_SHOES}.png")[None]})

    def _character(self, number: int) -> Character:
        variants = dict(zip(LAYERS, variants_of(number), strict=True)) | {"shoes": 0}
        worn = [self._layers[name][variants[name]] for name in (*LAYERS, "shoes")]
        picture = Image.new("RGBA", (worn[0].shape[1], worn[0].shape[0]), (0, 0, 0, 255))
        for layer in worn:
            picture = Image.alpha_composite(picture, Image.fromarray(layer))
        colours = np.asarray(picture)[..., :3]
        solid = np.any([layer[..., 3] > 0 for layer in worn], axis=0)
        # the original keeps colours as v / 256 and draws floor(255 v / 256)
        return Character(_in_cells(colours - (colours > 0)), _in_cells(solid))


def variants_of(number: int) -> tuple[int, int, int, int]:
    """Variants of body, bottomwear, topwear and hair of a character; 0 has the last of each, as in the original."""
    last = VARIANTS - 1
    return (
        last - number // VARIANTS**3,
        last - number // VARIANTS**2 % VARIANTS,
        last - number // VARIANTS % VARIANTS,
        last - number % VARIANTS,
    )


#: how many characters there are
CHARACTERS = VARIANTS ** len(LAYERS)


def _cells(path: Path) -> Pixels:
    """The cells of a sheet that are played, ``[576, 512, 4]``."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no sheet {path}; expected {', '.join(f'{name}/0..5.png' for name in LAYERS)} and "
            f"shoes/{_SHOES}.png in dataset.sheets. Without dataset.sheets characters are drawn by the program."
        )
    try:
        with Image.open(path) as picture:
            size = picture.size
            sheet = np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{path} is no picture that can be read: {error}.") from error
    if size != (COLUMNS * CELL, ROWS * CELL):
        raise ValueError(
            f"The sheet {path} has {size[0]}x{size[1]} pixels, expected {COLUMNS * CELL}x{ROWS * CELL}: "
            f"{COLUMNS} columns and {ROWS} rows of {CELL}x{CELL}."
        )
    grid = sheet.reshape(ROWS, CELL, COLUMNS, CELL, 4).swapaxes(1, 2)
    played = np.stack([grid[row, list(columns)] for _, row, columns in ACTIONS])
    return np.ascontiguousarray(played.swapaxes(1, 2).reshape(len(ACTIONS) * CELL, CYCLE * CELL, 4))


def _in_cells(picture: NDArray[T]) -> NDArray[T]:
    """``[576, 512, ...] -> [9, 8, 64, 64, ...]``."""
    shape = (len(ACTIONS), CELL, CYCLE, CELL, *picture.shape[2:])
    return np.ascontiguousarray(picture.reshape(shape).swapaxes(1, 2))
