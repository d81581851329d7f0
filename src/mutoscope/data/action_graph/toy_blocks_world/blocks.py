"""The objects of a scene and where they stand in the beginning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.toy_blocks_world.camera import HEIGHT, WIDTH, project
from mutoscope.data.action_graph.toy_blocks_world.solids import SHAPES, SIZES, Solid

#: colour of the spl alone is gold
COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
#: fewest and most objects of a scene
OBJECTS = (5, 10)
#: objects stay within this distance of the middle along x and y
FIELD = 2.9
#: least distance between two objects
GAP = 0.12

_PREFIX = {"cube": "Cube", "sphere": "Sphere", "cylinder": "SmoothCylinder", "spl": "Spl", "cone": "Cone"}
#: pixels that must remain between the middle of a resting object and the border: left, top, right, bottom
_BORDER = (26, 30, 26, 24)


@dataclass(frozen=True)
class Block:
    """An object by its attributes, in CATER's words."""

    shape: str
    size: str
    color: str
    material: str

    @property
    def solid(self) -> Solid:
        return Solid.of(self.shape, self.size)

    def holds(self, other: "Block") -> bool:
        """Whether it can be put over another one: only cones can, over something smaller."""
        return self.shape == "cone" and SIZES.index(other.size) < SIZES.index(self.size)


def instance_names(blocks: list[Block]) -> list[str]:
    """Names of the objects in a scene file."""
    return [f"{_PREFIX[block.shape]}_{number}" for number, block in enumerate(blocks)]


def draw_blocks(rng: np.random.Generator) -> tuple[list[Block], NDArray[np.float64], NDArray[np.float64]]:
    """Objects, no two alike, that stand apart: always a golden spl and a cone that can hold something.

    Returns:
        the blocks, their places ``[n, 3]`` and turns ``[n, 3, 3]`` from their own frames to the scene's.
    """
    while True:
        wanted = int(rng.integers(OBJECTS[0], OBJECTS[1] + 1))
        cone = Block("cone", str(rng.choice(SIZES[1:])), str(rng.choice(COLORS)), str(rng.choice(MATERIALS)))
        blocks: list[Block] = [Block("spl", str(rng.choice(SIZES[:2], p=(0.75, 0.25))), "gold", "metal"), cone]
        while len(blocks) < wanted:
            shape = str(rng.choice([shape for shape in SHAPES if shape != "spl"]))
            block = Block(shape, str(rng.choice(SIZES)), str(rng.choice(COLORS)), str(rng.choice(MATERIALS)))
            if block not in blocks:
                blocks.append(block)
        places = _places(blocks, rng)
        if len(places) >= OBJECTS[0]:
            blocks = blocks[: len(places)]
            angle = rng.uniform(0, 2 * np.pi, len(blocks))
            return blocks, places, about((0.0, 0.0, 1.0), angle)


def about(axis: tuple[float, float, float] | NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turns ``[..., 3, 3]`` about a unit axis by angles ``[...]`` in radians."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.asarray(angle)[..., None, None]
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def in_view(place: NDArray[np.float64]) -> bool:
    """Whether an object resting at ``place`` ``[3]`` is in the field and well inside the picture."""
    x, y = project(place)
    left, top, right, bottom = _BORDER
    inside = left <= x <= WIDTH - right and top <= y <= HEIGHT - bottom
    return bool(inside and np.abs(place[:2]).max() <= FIELD)


def _places(blocks: list[Block], rng: np.random.Generator) -> NDArray[np.float64]:
    """Places for as many blocks as find one, in order, ``[m, 3]``."""
    places: list[NDArray[np.float64]] = []
    for block in blocks:
        for _ in range(60):
            place = np.array([*rng.uniform(-FIELD, FIELD, 2), block.solid.half_height])
            apart = all(
                np.hypot(*(place - other)[:2]) > block.solid.reach + blocks[j].solid.reach + GAP
                and np.hypot(*(project(place) - project(other))) > 22
                for j, other in enumerate(places)
            )
            if apart and in_view(place):
                places.append(place)
                break
        else:
            break
    return np.array(places).reshape(-1, 3)
