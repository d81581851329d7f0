"""Who moves when and where: slots of time in which a few objects act at once without running into each other."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mutoscope.data.action_graph.toy_blocks_world.blocks import (
    FIELD,
    GAP,
    Block,
    about,
    draw_blocks,
    in_view,
    instance_names,
)
from mutoscope.formats.cater import RAW_FRAMES

#: frames of a slot; every action begins and ends within one
_SLOT = 30
#: shortest and longest action in frames
_DURATION = (20, 30)
#: chances that one, two or three objects act in a slot
_ACTORS = (0.25, 0.4, 0.35)
#: how high objects are lifted
_LIFT = (1.5, 1.9)
#: shortest way of an object that changes its place
_SHORTEST_WAY = 1.0
_TRIES = 12

#: (action, other object or None, first frame, last frame)
Movement = tuple[str, int | None, int, int]


@dataclass
class Play:
    """A whole video, not yet drawn.

    Args:
        blocks: the objects.
        places: ``[f, n, 3]``, centres of the objects in units of the scene.
        turns: ``[f, n, 3, 3]`` from the objects' own frames to the scene's.
        hidden: ``[f, n]`` whether an object is inside a cone.
        ceiling: ``[f, n]`` height above which an object cannot be seen, as a cone is over it; else infinite.
        movements: of every object in the order of time.
    """

    blocks: list[Block]
    places: NDArray[np.float64]
    turns: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    ceiling: NDArray[np.float64]
    movements: list[list[Movement]] = field(default_factory=list)

    @property
    def instances(self) -> list[str]:
        return instance_names(self.blocks)


def perform(seed: list[int]) -> Play:
    """The play of one video; it depends on ``seed`` alone."""
    stage = _Stage(np.random.default_rng(seed))
    for slot in range((RAW_FRAMES - 1) // _SLOT):
        stage.act(slot * _SLOT)
    return stage.play


class _Stage:
    """Objects between two slots, and what is planned for the present one."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        blocks, places, turns = draw_blocks(rng)
        n = len(blocks)
        self.play = Play(
            blocks=blocks,
            places=np.tile(places, (RAW_FRAMES, 1, 1)),
            turns=np.tile(turns, (RAW_FRAMES, 1, 1, 1)),
            hidden=np.zeros((RAW_FRAMES, n), dtype=bool),
            ceiling=np.full((RAW_FRAMES, n), np.inf),
            movements=[[] for _ in blocks],
        )
        self.solids = [block.solid for block in blocks]
        #: the cone directly around each object, or none
        self.cone: list[int | None] = [None] * n
        self.busy: set[int] = set()
        self.window = slice(0, 0)

    def act(self, start: int) -> None:
        """Plan one slot from frame ``start`` on."""
        self.busy, self.window = set(), slice(start, start + _SLOT + 1)
        actors = 1 + int(self.rng.choice(len(_ACTORS), p=_ACTORS))
        for i in self.rng.permutation(len(self.solids)):
            if actors and i not in self.busy and self.cone[i] is None and self._acts(int(i), start):
                actors -= 1

    def _acts(self, i: int, start: int) -> bool:
        shape = self.play.blocks[i].shape
        choices = ["_slide", "_pick_place"]
        if shape in ("cube", "cylinder", "spl"):
            choices += ["_rotate"]
        if shape == "cone":
            choices += ["_contain", "_contain"]
        duration = int(self.rng.integers(_DURATION[0], _DURATION[1] + 1))
        first = start + int(self.rng.integers(0, _SLOT - duration + 1))
        span = (first, first + duration)
        action = str(self.rng.choice(choices))
        if action == "_rotate":
            return self._rotate(i, span)
        if action == "_contain":
            return self._contain(i, span)
        for _ in range(_TRIES):
            target = np.array([*self.rng.uniform(-FIELD, FIELD, 2), self._here(i)[2]])
            if np.hypot(*(target - self._here(i))[:2]) < _SHORTEST_WAY or not in_view(target):
                continue
            places = self._slide(i, target, span) if action == "_slide" else self._lift(i, target, span)
            if self._clear(i, places):
                self._settle(i, action, None, span, places)
                return True
        return False

    def _rotate(self, i: int, span: tuple[int, int]) -> bool:
        """A quarter turn about one of the object's own axes; it stays on the ground."""
        turn = self.play.turns[span[0], i]
        upright = self.play.blocks[i].shape == "cylinder"
        axis = turn[:, int(self.rng.integers(0, 2 if upright else 3))]
        angle = np.pi / 2 * float(self.rng.choice([-1, 1])) * self._eased(span)
        turns = about(axis, angle) @ turn
        places = self.play.places[self.window, i].copy()
        places[:, 2] = self.solids[i].height_above_ground(turns)
        if not self._clear(i, places):
            return False
        self.play.turns[self.window.start :, i] = turns[-1]
        self.play.turns[self.window, i] = turns
        self._settle(i, "_rotate", None, span, places)
        return True

    def _contain(self, i: int, span: tuple[int, int]) -> bool:
        """The cone ``i`` flies over something smaller, if there is any."""
        blocks = self.play.blocks
        smaller = [
            j
            for j in range(len(blocks))
            if blocks[i].holds(blocks[j]) and self.cone[j] is None and j not in self.busy and j != i
        ]
        for j in self.rng.permutation(smaller):
            target = np.array([*self._here(int(j))[:2], self._here(i)[2]])
            places = self._lift(i, target, span)
            if self._clear(i, places, over=int(j)):
                self._settle(i, "_contain", int(j), span, places)
                inside = [int(j), *self._within(int(j))]
                self._cover(i, inside, slice(span[0], span[1] + 1))
                self.play.hidden[span[1] :, inside] = True
                self.cone[int(j)] = i
                self.busy.update(inside)
                return True
        return False

    def _settle(
        self, i: int, action: str, other: int | None, span: tuple[int, int], places: NDArray[np.float64]
    ) -> None:
        """Take a planned action into the play; what is inside a cone goes with it or is left behind."""
        play, start = self.play, self.window.start
        inside = self._within(i)
        play.places[start:, i] = places[-1]
        play.places[self.window, i] = places
        play.movements[i].append((action, other, *span))
        self.busy.update([i, *inside])
        for j in inside:
            if action == "_slide":
                ground = places[:, :2] - places[0, :2] + play.places[start, j, :2]
                play.places[start:, j, :2] = ground[-1]
                play.places[self.window, j, :2] = ground
                play.movements[j].append((action, None, *span))
            else:
                play.movements[j].append(("_no_op", None, *span))
        if inside and action != "_slide":
            directly = [j for j in inside if self.cone[j] == i]
            for j in directly:
                self.cone[j] = None
                play.hidden[span[0] + 1 :, j] = False
            self._cover(i, inside, slice(span[0], span[1] + 1))

    def _cover(self, cone: int, inside: list[int], frames: slice) -> None:
        """Hide what is above the rim of a cone that is on its way onto or off other objects."""
        play = self.play
        rim = play.places[frames, cone, 2] - self.solids[cone].half_height
        for j in inside:
            away = np.hypot(*(play.places[frames, cone] - play.places[frames, j])[:, :2].T)
            over = away < self.solids[cone].radius
            play.ceiling[frames, j] = np.minimum(play.ceiling[frames, j], np.where(over, rim, np.inf))

    def _slide(self, i: int, target: NDArray[np.float64], span: tuple[int, int]) -> NDArray[np.float64]:
        here = self._here(i)
        return np.asarray(here + self._eased(span)[:, None] * (target - here))

    def _lift(self, i: int, target: NDArray[np.float64], span: tuple[int, int]) -> NDArray[np.float64]:
        """Up and over in a parabola of time; little way is made while the object is low."""
        here, time = self._here(i), self._time(span)
        way = time**3 * (10 - 15 * time + 6 * time**2)
        places = here + way[:, None] * (target - here)
        places[:, 2] += self.rng.uniform(*_LIFT) * 4 * time * (1 - time)
        return np.asarray(places)

    def _clear(self, i: int, places: NDArray[np.float64], over: int | None = None) -> bool:
        """Whether nothing is touched on the way, neither what rests nor what moves in this slot."""
        inside = {*self._within(i), *(() if over is None else (over, *self._within(over)))}
        for j, solid in enumerate(self.solids):
            # what a cone holds is nowhere outside it
            if j == i or j in inside or self.cone[j] is not None:
                continue
            apart = places - self.play.places[self.window, j]
            beside = np.hypot(apart[:, 0], apart[:, 1]) > self.solids[i].reach + solid.reach + GAP
            above = np.abs(apart[:, 2]) > self.solids[i].reach_up + solid.reach_up
            if not (beside | above).all():
                return False
        return True

    def _within(self, i: int) -> list[int]:
        """Everything inside object ``i``, however deep."""
        directly = [j for j, cone in enumerate(self.cone) if cone == i]
        return directly + [k for j in directly for k in self._within(j)]

    def _here(self, i: int) -> NDArray[np.float64]:
        return np.asarray(self.play.places[self.window.start, i])

    def _time(self, span: tuple[int, int]) -> NDArray[np.float64]:
        """0 before an action, 1 after it, at the frames of the slot."""
        frames = np.arange(self.window.start, self.window.stop)
        return np.asarray(np.clip((frames - span[0]) / (span[1] - span[0]), 0.0, 1.0))

    def _eased(self, span: tuple[int, int]) -> NDArray[np.float64]:
        time = self._time(span)
        return np.asarray(time**2 * (3 - 2 * time))
