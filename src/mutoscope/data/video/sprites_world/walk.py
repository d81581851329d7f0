"""Who goes where and does what: random walks with inertia, and local actions that depend on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEFT, RIGHT, UP, DOWN, STAY = range(5)
_STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)])
#: how likely somebody who stays goes on in the next frame, whatever the inertia
_SETS_OFF = 0.1
#: local actions while walking, by direction; those of who stays; and how many frames these last at most
_WALKING = np.array([1, 2, 0, 0, -1])
_FIRST_STILL, _STILL = 3, 6
_SHORTEST, _LENGTHS = 4, 5
_CYCLE = 8


@dataclass(frozen=True)
class Walk:
    """Random walks on a grid.

    Args:
        range: positions ``(width, height)``: x in 0..width - 1, y in 0..height - 1.
        inertia: probability of going on as before.
        step: pixels per frame.
    """

    range: tuple[int, int]
    inertia: float
    step: int

    def take(self, draws: Floats) -> tuple[Ints, Ints]:
        """Positions and directions of many walks.

        Args:
            draws: ``[n, t + 1, 3]`` in [0, 1): the first row places, every other one is about a frame.

        Returns:
            ``[n, t, 2]`` positions (x, y) after each step, and ``[n, t]`` directions.
        """
        last = np.array(self.range) - 1
        at = np.minimum((draws[:, 0, :2] * self.range).astype(np.int64), last)
        direction = np.full(len(draws), -1)
        positions, directions = [], []
        for now in draws[:, 1:].swapaxes(0, 1):
            direction = self._turn(at, direction, now, last)
            at = np.clip(at + self.step * _STEPS[direction], 0, last)
            positions.append(at)
            directions.append(direction)
        return np.stack(positions, axis=1), np.stack(directions, axis=1)

    def _turn(self, at: Ints, direction: Ints, draws: Floats, last: Ints) -> Ints:
        stays = np.ones(len(at), bool)
        allowed = np.stack([at[:, 0] > 0, at[:, 0] < last[0], at[:, 1] > 0, at[:, 1] < last[1], stays], axis=1)
        rows = np.arange(len(at))
        # a direction of -1 reads the last column, which is always allowed
        blocked = (direction < 0) | ~allowed[rows, direction]
        turns = draws[:, 0] < np.where(direction == STAY, _SETS_OFF, 1 - self.inertia)
        others = allowed.copy()
        others[rows[~blocked], direction[~blocked]] = False
        choices = np.where(blocked[:, None], allowed, others)
        return np.where(blocked | turns, _choose(choices, draws[:, 1]), direction)


def _choose(choices: NDArray[np.bool_], draws: Floats) -> Ints:
    """One of the choices of every row, all equally likely."""
    ranks = choices.cumsum(axis=1)
    wanted = np.minimum((draws * ranks[:, -1]).astype(np.int64), ranks[:, -1] - 1) + 1
    return (ranks >= wanted[:, None]).argmax(axis=1)


def act(directions: Ints, draws: Floats) -> tuple[Ints, Ints]:
    """Local actions and frames of their cycles for walks.

    Who walks plays the walk of that direction, going on in its cycle where it was left; who stays plays one action
    after the other, each a few frames from its beginning, never the same twice in a row.

    Args:
        directions: ``[n, t]``.
        draws: ``[n, t, 2]`` in [0, 1).

    Returns:
        ``[n, t]`` local actions 0..8, and ``[n, t]`` frames 0..7 of their cycles.
    """
    n = len(directions)
    rows = np.arange(n)
    pointers = np.zeros((n, _FIRST_STILL), np.int64)
    before = np.full(n, -1)
    played, most = np.zeros(n, np.int64), np.zeros(n, np.int64)
    actions, frames = [], []
    for direction, now in zip(directions.T, draws.swapaxes(0, 1), strict=True):
        walking = direction != STAY
        walk = _WALKING[direction]
        begins = ~walking & ((before < _FIRST_STILL) | (played >= most))
        choices = np.ones((n, _STILL), bool)
        repeats = before >= _FIRST_STILL
        choices[rows[repeats], before[repeats] - _FIRST_STILL] = False
        still = np.where(begins, _FIRST_STILL + _choose(choices, now[:, 0]), before)
        most = np.where(begins, _SHORTEST + np.minimum((now[:, 1] * _LENGTHS).astype(np.int64), _LENGTHS - 1), most)
        played = np.where(begins | walking, 0, played)
        action = np.where(walking, walk, still)
        frames.append(np.where(walking, pointers[rows, walk] % _CYCLE, played % _CYCLE))
        pointers[rows[walking], walk[walking]] += 1
        played = played + ~walking
        before = action
        actions.append(action)
    return np.stack(actions, axis=1), np.stack(frames, axis=1)


#: of the character's cell in the frame, and of the crop in the background picture
SPRITE_WALK = Walk((64, 32), 0.9, 7)
BACKGROUND_WALK = Walk((25, 25), 0.95, 2)


@dataclass(frozen=True)
class Script:
    """What happens in ``n`` videos of ``t`` frames; some megabytes for all there are.

    Args:
        character: ``[n]``.
        position: ``[n, t, 2]`` top-left corner (x, y) of the character's cell, pixels.
        background: ``[n, t, 2]`` corner of the background's crop.
        action, cycle: ``[n, t]`` local action, and frame of its cycle.
        direction: ``[n, t]`` in which the character went to get here.
    """

    character: Ints
    position: Ints
    background: Ints
    action: Ints
    cycle: Ints
    direction: Ints

    @classmethod
    def written(cls, characters: Ints, videos: int, frames: int, seed: int) -> "Script":
        """The videos of some characters; those of one do not depend on which others there are."""
        draws = np.concatenate(
            [np.random.default_rng([seed, int(c)]).random((videos, frames + 1, 8)) for c in characters]
        )
        position, direction = SPRITE_WALK.take(draws[..., :3])
        background, _ = BACKGROUND_WALK.take(draws[..., 3:6])
        action, cycle = act(direction, draws[:, 1:, 6:])
        return cls(np.repeat(characters, videos), position, background, action, cycle, direction)
