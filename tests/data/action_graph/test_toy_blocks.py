"""The world of blocks: solids fit CATER's boxes, nothing runs into anything, and CATER's reader takes the result."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mutoscope.data.action_graph import toy_blocks
from mutoscope.data.action_graph.toy_blocks import ToyBlocks
from mutoscope.data.action_graph.toy_blocks_world import Film, Lamps, Order, Play, make, perform, scene_of
from mutoscope.data.action_graph.toy_blocks_world.blocks import Block, about
from mutoscope.data.action_graph.toy_blocks_world.camera import EYE, rays
from mutoscope.data.action_graph.toy_blocks_world.solids import SHAPES, SIZES, Solid, intersect
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.cater import EXTENTS, boxes_of, parse_scene, project
from mutoscope.formats.video import read_video
from mutoscope.runtime.files import replacing

LAMPS = Lamps.draw(np.random.default_rng(0))
PLAYS = [perform([7, number]) for number in range(12)]
LOOKS = [(shape, size) for shape in SHAPES for size in SIZES]


def surface(solid: Solid) -> NDArray[np.float64]:
    """Points all over a solid, in its own frame."""
    r, h = solid.radius, solid.half_height
    if solid.shape == "cube":
        grid = np.linspace(-r, r, 9)
        points = np.stack(np.meshgrid(grid, grid, grid), -1).reshape(-1, 3)
        return points[np.abs(points).max(1) == r]
    turn, up = (a.ravel() for a in np.meshgrid(np.linspace(0, 2 * np.pi, 48, endpoint=False), np.linspace(-1, 1, 17)))
    if solid.shape in ("sphere", "spl"):
        wide, height = r * np.cos(up * np.pi / 2), r * np.sin(up * np.pi / 2)
    else:
        wide, height = (r if solid.shape == "cylinder" else r * (1 - up) / 2), h * up
    return np.stack([wide * np.cos(turn), wide * np.sin(turn), height], -1)


def level(solid: Solid, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Negative inside a solid (the spl taken as full), positive outside, points ``[n, 3]`` in its own frame."""
    x, y, z = np.asarray(points, dtype=np.float64).T
    r, h = solid.radius, solid.half_height
    if solid.shape == "cube":
        return np.abs(points).max(1) - r
    if solid.shape in ("sphere", "spl"):
        return np.sqrt(x * x + y * y + z * z) - r
    wide = r if solid.shape == "cylinder" else r * (h - z) / (2 * h)
    return np.maximum(np.hypot(x, y) - wide, np.abs(z) - h)


def alone(block: Block, place: tuple[float, float], angle: float = 0.4) -> Play:
    """One block at rest."""
    where = np.array([*place, block.solid.half_height])
    return Play(
        blocks=[block],
        places=np.tile(where, (2, 1, 1)),
        turns=np.tile(about((0.0, 0.0, 1.0), np.array(angle)), (2, 1, 1, 1)),
        hidden=np.zeros((2, 1), dtype=bool),
        ceiling=np.full((2, 1), np.inf),
        movements=[[]],
    )


def silhouette(play: Play, frame: int = 0, i: int = 0) -> NDArray[np.float64]:
    """Pixels (left, top, right, bottom) of an object as drawn."""
    tile = Film(play, LAMPS).tile(frame, i)
    assert tile is not None
    rows, columns = np.nonzero(np.isfinite(tile.depth))
    rows, columns = rows + tile.rows.start, columns + tile.columns.start
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 2


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    size = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(size / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - size))


@pytest.mark.parametrize(("shape", "size"), LOOKS)
def test_what_is_drawn_is_where_its_points_are_seen_and_fills_its_box(shape: str, size: str) -> None:
    block = Block(shape, size, "red", "metal")
    extents = np.array([EXTENTS[shape][size]])
    found = []
    for place in ((0.0, 0.0), (1.4, -0.9), (-1.5, 1.2), (-1.0, -1.6), (1.1, 1.7)):
        play = alone(block, place)
        drawn = silhouette(play)
        pixels = (project(surface(block.solid) @ play.turns[0, 0].T + play.places[0, 0]) + 1) / 2 * (320, 240)
        np.testing.assert_allclose(drawn, [*pixels.min(0), *pixels.max(0)], atol=1.2)
        x, y, width, height = boxes_of(play.places[0], extents)[0] * (320, 240, 320, 240)
        found.append(overlap(drawn, np.array([x, y, x + width, y + height])))
    assert found[0] > 0.7
    assert np.mean(found) > 0.62


@pytest.mark.parametrize(("shape", "size"), LOOKS)
def test_rays_end_where_they_first_meet_the_solid(shape: str, size: str) -> None:
    solid = Solid.of(shape, size)
    turn = about((0.0, 0.0, 1.0), np.array(0.7))
    place = np.array([0.5, -0.4, solid.half_height])
    own = turn.T.astype(np.float32)
    origin, ray = own @ (EYE - place).astype(np.float32), own @ rays(0.25).reshape(3, -1)
    hits = intersect(solid, origin, ray)
    assert len(hits.rays)
    at = origin + (hits.depth * ray[:, hits.rays]).T
    np.testing.assert_allclose(level(solid, at), 0, atol=5e-4)
    np.testing.assert_allclose(np.linalg.norm(hits.normal, axis=0), 1, atol=1e-4)
    # rounded edges may look a little away
    assert ((hits.normal * ray[:, hits.rays]).sum(0) < 0.3).mean() > 0.93
    steps = np.linspace(0, 1, 40, endpoint=False)[:, None, None]
    before = origin + steps * (hits.depth * ray[:, hits.rays]).T
    if not hits.inner.any():
        assert (level(solid, before.reshape(-1, 3)) > -5e-4).all()
    missed = np.setdiff1d(np.arange(ray.shape[1]), hits.rays)
    if shape != "spl":
        along = origin + np.linspace(7, 16, 200)[:, None, None] * ray[:, missed].T
        assert (level(solid, along.reshape(-1, 3)) > -1e-3).all()


def test_quarter_turns_never_sink_into_the_ground() -> None:
    for shape in ("cube", "cylinder", "spl"):
        solid = Solid.of(shape, "medium")
        turns = about((1.0, 0.0, 0.0), np.linspace(0, np.pi / 2, 7))
        lowest = np.array([(surface(solid) @ turn.T)[:, 2].min() for turn in turns])
        heights = solid.height_above_ground(turns)
        assert (heights >= -lowest - 1e-9).all()
        assert heights[0] == pytest.approx(solid.half_height)
        assert heights[-1] == pytest.approx(solid.half_height)


def movements(play: Play) -> Iterator[tuple[int, str, int | None, int, int]]:
    for i, moves in enumerate(play.movements):
        for action, other, first, last in moves:
            yield i, action, other, first, last


def test_all_actions_happen_and_several_at_once() -> None:
    seen = {action for play in PLAYS for _, action, *_ in movements(play)}
    assert seen == {"_slide", "_rotate", "_pick_place", "_contain", "_no_op"}
    busy = np.zeros((len(PLAYS), 301), dtype=int)
    for play, count in zip(PLAYS, busy, strict=True):
        for *_, first, last in movements(play):
            count[first : last + 1] += 1
    assert (busy > 1).mean() > 0.3
    assert {len(play.blocks) for play in PLAYS} <= set(range(5, 11))
    for play in PLAYS:
        assert len(set(play.blocks)) == len(play.blocks)


@pytest.mark.parametrize("play", PLAYS, ids=range(len(PLAYS)))
def test_movements_say_what_happens(play: Play) -> None:
    moved = (play.places[1:] != play.places[:-1]).any(-1) | (play.turns[1:] != play.turns[:-1]).any((-1, -2))
    told = np.zeros_like(moved)
    for i, action, other, first, last in movements(play):
        assert 0 <= first < last <= 300
        assert 20 <= last - first <= 30
        assert not told[first:last, i].any(), "one thing at a time"
        told[first:last, i] = True
        start, end, way = play.places[first, i], play.places[last, i], play.places[first : last + 1, i]
        assert (other is not None) == (action == "_contain")
        if action == "_slide":
            assert np.ptp(way[:, 2]) == 0
            assert np.hypot(*(end - start)[:2]) > 0.9
        elif action in ("_pick_place", "_contain"):
            assert way[:, 2].max() > start[2] + 1.3
            assert end[2] == pytest.approx(start[2])
        elif action == "_rotate":
            np.testing.assert_allclose(end[:2], start[:2])
            # a quarter turn
            assert np.trace(play.turns[first, i].T @ play.turns[last, i]) == pytest.approx(1, abs=1e-9)
        else:
            assert (way == start).all()
    assert not (moved & ~told).any()


@pytest.mark.parametrize("play", PLAYS, ids=range(len(PLAYS)))
def test_cones_hide_smaller_things_and_carry_them(play: Play) -> None:
    covers = [(i, other, last) for i, action, other, _, last in movements(play) if action == "_contain"]
    hidden = np.zeros_like(play.hidden)
    for cone, other, last in covers:
        assert other is not None
        assert play.blocks[cone].shape == "cone"
        assert SIZES.index(play.blocks[other].size) < SIZES.index(play.blocks[cone].size)
        released = [s for action, _, s, _ in play.movements[other] if action == "_no_op" and s >= last]
        until = min(
            (s for action, _, s, _ in play.movements[cone] if action in ("_pick_place", "_contain") and s >= last),
            default=300,
        )
        assert until == 300 or until in released
        assert play.hidden[last : until + 1, other].all()
        np.testing.assert_allclose(play.places[last : until + 1, cone, :2], play.places[last : until + 1, other, :2])
        hidden[last : until + 1, other] = True
        slides = [(s, e) for action, _, s, e in play.movements[cone] if action == "_slide" and last <= s < until]
        assert set(slides) <= {(s, e) for action, _, s, e in play.movements[other] if action == "_slide"}
    assert (hidden == play.hidden).all()


@pytest.mark.parametrize("play", PLAYS[:6], ids=range(6))
def test_nothing_runs_into_anything(play: Play) -> None:
    for frame in range(0, 301, 5):
        places, turns = play.places[frame], play.turns[frame]
        for i, one in enumerate(play.blocks):
            points = surface(one.solid) @ turns[i].T + places[i]
            assert points[:, 2].min() > -1e-6
            for j, two in enumerate(play.blocks):
                covered = play.hidden[frame, [i, j]].any() or np.isfinite(play.ceiling[frame, [i, j]]).any()
                if i != j and not covered:
                    assert (level(two.solid, (points - places[j]) @ turns[j]) > 0).all(), (frame, i, j)


def test_frames_in_order_are_those_drawn_alone() -> None:
    play = PLAYS[1]
    film = Film(play, LAMPS)
    for number, picture in enumerate(film.frames()):
        if number % 23 == 0:
            assert (picture == Film(play, LAMPS).frame(number)).all(), number
        if number > 140:
            break


def test_the_nearer_object_is_seen_and_the_hidden_is_not() -> None:
    far, near = Block("cube", "large", "blue", "rubber"), Block("sphere", "small", "red", "rubber")
    play = Play(
        blocks=[far, near],
        places=np.tile([[0.0, 0.0, far.solid.half_height], [1.2, -1.06, 0.6]], (2, 1, 1)),
        turns=np.tile(np.eye(3), (2, 2, 1, 1)),
        hidden=np.zeros((2, 2), dtype=bool),
        ceiling=np.full((2, 2), np.inf),
    )
    middle = ((project(play.places[0, 1]) + 1) / 2 * (320, 240)).astype(int)

    def colour(**changes: Any) -> NDArray[np.int64]:
        return Film(replace(play, **changes), LAMPS).frame(0)[middle[1], middle[0]].astype(int)

    red, _, blue = colour()
    assert red > blue + 60
    swapped = replace(play, blocks=[near, far], places=play.places[:, ::-1], turns=play.turns)
    assert (Film(swapped, LAMPS).frame(0) == Film(play, LAMPS).frame(0)).mean() > 0.999
    for unseen in ({"hidden": np.array([[False, True]] * 2)}, {"ceiling": np.array([[np.inf, 0.0]] * 2)}):
        red, _, blue = colour(**unseen)
        assert blue > red + 60


def test_an_object_in_the_air_throws_its_shadow_under_itself() -> None:
    low, high = (alone(Block("sphere", "medium", "red", "rubber"), (0.0, 0.0)) for _ in range(2))
    high.places[:, 0, 2] += 1.5
    under = ((project(np.array([0.0, 0.0, 0.0])) + 1) / 2 * (320, 240)).astype(int)
    empty = replace(high, hidden=np.ones((2, 1), dtype=bool))
    shadow, bare = (Film(play, LAMPS).frame(0).astype(int) for play in (high, empty))
    assert (shadow[under[1], under[0]] < bare[under[1], under[0]] - 10).all()
    assert (shadow[5] == bare[5]).all(), "far away the ground is as it was"
    assert not (Film(low, LAMPS).frame(0) == bare).all()


def test_scenes_are_cater_scenes() -> None:
    play = PLAYS[0]
    scene = json.loads(json.dumps(scene_of(play, "toy")))
    parsed = parse_scene(scene, "toy.json")
    extents = np.array([EXTENTS[block.shape][block.size] for block in play.blocks])
    np.testing.assert_allclose(parsed.boxes[:, :-1], boxes_of(play.places, extents), atol=1e-4)
    assert len(parsed.actions) == sum(len(moves) for moves in play.movements)
    for entry in scene["objects"]:
        assert list(entry["locations"]) == [str(frame) for frame in range(301)]


def test_a_play_depends_on_its_seed_alone() -> None:
    again = perform([7, 0])
    assert (again.places == PLAYS[0].places).all()
    assert again.movements == PLAYS[0].movements
    assert not all(np.array_equal(play.places, PLAYS[0].places) for play in PLAYS[1:])


SETTINGS: dict[str, Any] = {"videos": 1, "val_videos": 1, "test_videos": 1, "size": 32, "cache_workers": 1}


@pytest.fixture(scope="module")
def cache(blocks_cache: Path) -> Path:
    ToyBlocks(**SETTINGS, cache_dir=str(blocks_cache)).prepare_data()
    return blocks_cache


def test_goes_through_the_reader_of_cater(cache: Path) -> None:
    assert datamodule_class("toy_blocks") is ToyBlocks
    data = ToyBlocks(**SETTINGS, cache_dir=str(cache))
    data.prepare_data()
    data.setup()
    assert data.info.name == "toy_blocks"
    assert not list(cache.rglob("skipped.txt"))
    batch = data.dataset("test").__getitems__([0])
    assert batch.frames is not None
    assert batch.frames.shape == (1, 16, 3, 32, 32)
    assert batch.frames.float().std() > 10


def test_videos_are_the_same_wherever_they_are_made(cache: Path, tmp_path: Path) -> None:
    order = Order(tmp_path, "toy_train_000000", (0, 0, 0))
    make(order)
    (there,) = cache.rglob("toy_train_000000.avi")
    assert order.video.read_bytes() == there.read_bytes()
    assert order.scene.read_text() == (there.parents[1] / "scenes" / "toy_train_000000.json").read_text()
    frames, fps = read_video(order.video)
    assert frames.shape == (301, 240, 320, 3)
    assert fps == 24
    drawn = Film(perform([0, 0, 0, 0]), Lamps.draw(np.random.default_rng([0, 0, 0, 1]))).frame(0)
    assert np.abs(frames[0].astype(int) - drawn).mean() < 4


def test_only_what_is_missing_is_made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    video = next(cache.rglob("toy_val_000000.avi"))
    filmed = video.read_bytes()

    def noted(order: Order) -> None:
        made.append(order.name)
        with replacing(order.video) as temporary:
            temporary.write_bytes(filmed)

    monkeypatch.setattr(toy_blocks, "make", noted)
    video.unlink()
    data = ToyBlocks(**SETTINGS | {"max_videos": 1, "videos": 9}, cache_dir=str(cache))
    data.prepare_data()
    assert made == ["toy_val_000000"]
    assert video.read_bytes() == filmed
    assert (data.tree / "lists" / "train_1.txt").read_text().split()[0] == "toy_train_000000.avi"


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="val_videos is 0, expected at least 1"):
        ToyBlocks(val_videos=0)
    with pytest.raises(ValueError, match="world_seed is -1"):
        ToyBlocks(world_seed=-1)
