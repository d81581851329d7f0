from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mutoscope.render.action_graph import action_colours, draw_graph, draw_timeline, object_colours, play_timeline
from mutoscope.render.boxes import draw_boxes, side_by_side
from mutoscope.structures import ActionEdge, ActionGraph, GraphError, GraphObject, huddle

COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow", "gold", "red")
THINGS = tuple(
    GraphObject(f"{colour}_cone_{i}", {"shape": "cone", "color": colour}) for i, colour in enumerate(COLOURS)
)
SLIDE = ActionEdge(THINGS[0].name, "slide", THINGS[0].name, 2, 8)
CONTAIN = ActionEdge(THINGS[0].name, "contain", THINGS[1].name, 6, 14)
GRAPH = ActionGraph(THINGS[:3], (SLIDE, CONTAIN), 16)


def amount(picture: NDArray[np.uint8], colour: tuple[int, int, int], tolerance: int = 0) -> int:
    """Pixels of this colour."""
    return int((abs(picture.astype(int) - colour) <= tolerance).all(-1).sum())


@pytest.mark.parametrize("size", [(200, 280), (300, 300), (480, 640)])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_every_object_and_action_is_in_the_picture(count: int, size: tuple[int, int]) -> None:
    things = THINGS[:count]
    loops = tuple(ActionEdge(t.name, "rotate", t.name, 0, 8) for t in things[:2])
    graph = ActionGraph(things, loops, 16)
    if count > 1:
        graph = graph.merge(huddle(things, 16))
    picture = draw_graph(graph, size)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    for colour in object_colours(graph):
        assert amount(picture, colour, 10) > 20
    without = draw_graph(graph.with_edges([]), size)
    for name, colour in action_colours(graph).items():
        assert amount(picture, colour, 40) > amount(without, colour, 40) + 10, name
    # nothing is cut off by the border
    assert (np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]) == 255).all()


def test_pictures_depend_on_what_is_said() -> None:
    base = draw_graph(GRAPH)
    np.testing.assert_array_equal(base, draw_graph(GRAPH))
    again = (SLIDE, CONTAIN, replace(SLIDE, start=9, end=12), replace(CONTAIN, start=-3, end=2))
    back = replace(CONTAIN, subject=CONTAIN.object, object=CONTAIN.subject)
    for edges in ((SLIDE,), (SLIDE, back), (SLIDE, replace(CONTAIN, end=15)), again, ()):
        assert (draw_graph(GRAPH.with_edges(edges)) != base).any()


def test_objects_without_known_colour_share_a_plain_one() -> None:
    attributes = ({"object": "cup"}, {"color": "colourless"}, {"colour": "tomato"}, {"color": "gold"})
    graph = ActionGraph(tuple(GraphObject(str(i), a) for i, a in enumerate(attributes)), (), 4)
    plain, other, tomato, gold = object_colours(graph)
    assert plain == other
    assert tomato == (255, 99, 71)
    assert len({plain, tomato, gold}) == 3


def test_nothing_is_an_empty_page() -> None:
    assert (draw_graph(ActionGraph((), (), 4)) == 255).all()


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(GraphError, match="no object 'nobody'"):
        draw_graph(GRAPH.with_edges([replace(SLIDE, subject="nobody")]))
    with pytest.raises(ValueError, match="at least 200 x 200"):
        draw_graph(GRAPH, (150, 400))
    with pytest.raises(ValueError, match="at least 200"):
        draw_timeline(GRAPH, 100)


def bars(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """First and last column of a bar near its upper edge, where no arrow or word is, and its middle row."""
    mask = (picture == np.array(colour, dtype=np.uint8)).all(-1)
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask[rows[0] + 2])
    return columns[0], columns[-1], float(rows.mean())


def test_bars_lie_over_their_frames_in_the_order_of_their_starts() -> None:
    graph = GRAPH.with_edges([CONTAIN, SLIDE])
    picture = draw_timeline(graph, 800)
    assert picture.shape[1:] == (800, 3)
    colours = action_colours(graph)
    slide, contain = bars(picture, colours["slide"]), bars(picture, colours["contain"])
    pixels = (slide[1] - slide[0]) / (SLIDE.end - SLIDE.start)
    assert (contain[1] - contain[0]) / pixels == pytest.approx(CONTAIN.end - CONTAIN.start, abs=0.15)
    assert (contain[0] - slide[0]) / pixels == pytest.approx(CONTAIN.start - SLIDE.start, abs=0.15)
    assert contain[2] > slide[2] + 20
    # both go on at the same time, so their bars share columns
    assert contain[0] < slide[1] - pixels


def test_what_happens_outside_the_clip_is_pale_and_cut_off() -> None:
    inside = draw_timeline(GRAPH.with_edges([replace(SLIDE, start=0, end=16)]), 600)
    colour = action_colours(GRAPH.with_edges([SLIDE]))["slide"]
    far = draw_timeline(GRAPH.with_edges([replace(SLIDE, start=-4, end=20)]), 600)
    farther = draw_timeline(GRAPH.with_edges([replace(SLIDE, start=-400, end=2000)]), 600)
    # the clip is two thirds of the picture instead of all of it
    full, part = bars(inside, colour), bars(far, colour)
    assert (part[1] - part[0]) / (full[1] - full[0]) == pytest.approx(16 / 24, abs=0.02)
    # only the arrows tell more than a quarter of the clip from much more
    assert 0 < (far != farther).any(-1).mean() < 0.02
    done = draw_timeline(GRAPH.with_edges([replace(SLIDE, start=-9, end=-6)]), 600)
    assert done.shape == inside.shape
    assert amount(done, colour) < amount(inside, colour) / 10


def test_a_line_marks_the_frame_that_is_shown() -> None:
    still, played = draw_timeline(GRAPH, 600), play_timeline(GRAPH, 600, 11)
    assert played.shape == (11, *still.shape)
    columns = []
    for frame in (2, 6, 10):
        changed = (played[frame] != still).any(-1)
        (found,) = np.nonzero(changed.any(0))
        assert len(found) <= 8
        assert changed[:, found].any(1).mean() > 0.6
        columns.append(found.mean())
    assert columns[1] - columns[0] == pytest.approx(columns[2] - columns[1], abs=1)
    assert columns[1] - columns[0] > 50


def test_timelines_have_a_row_per_action() -> None:
    heights = [draw_timeline(GRAPH.with_edges([SLIDE] * count), 300).shape[0] for count in range(5)]
    assert heights[0] == heights[1]
    assert len(set(np.diff(heights[1:]))) == 1
    long = GraphObject("a_very_long_name_of_an_object_that_nobody_would_choose", {})
    edge = ActionEdge(long.name, "rotate", long.name, 0.25, 0.5)
    assert draw_timeline(ActionGraph((long,), (edge, replace(edge, object="x")), 1), 200).shape[1] == 200


FRAMES = np.full((2, 40, 60, 3), 90, dtype=np.uint8)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_boxes_are_drawn_where_they_are() -> None:
    boxes = torch.tensor([[[0.2, 0.25, 0.5, 0.5], [0.1, 0.1, 0.2, 0.2]]])
    drawn = draw_boxes(FRAMES, boxes, colours=[RED])
    assert (FRAMES == 90).all()
    expected = FRAMES.copy()
    for t, (x0, y0, x1, y1) in enumerate(((12, 10, 42, 30), (6, 4, 18, 12))):
        expected[t, y0:y1, x0:x1] = RED
        expected[t, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = 90
    np.testing.assert_array_equal(drawn, expected)
    large = draw_boxes(FRAMES, boxes, colours=[RED], upscale=4)
    assert large.shape == (2, 160, 240, 3)
    rows, columns = np.nonzero((large[0] == RED).all(-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 119, 48, 167)


def test_boxes_that_cannot_be_seen_are_left_out() -> None:
    hidden = [[0.0, 0.0, 0.0, 0.0], [np.nan, 0.1, 0.2, 0.2], [1.1, 0.2, 0.3, 0.3], [0.2, -0.5, 0.3, 0.4], [0, 2, 1, 1]]
    boxes = np.array(hidden)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(draw_boxes(FRAMES, boxes, ["name"] * 5), FRAMES)
    np.testing.assert_array_equal(draw_boxes(FRAMES, np.zeros((0, 2, 4))), FRAMES)


def test_boxes_partly_outside_are_cut_and_negative_sizes_turned() -> None:
    boxes = np.array([[[-0.5, -0.5, 1.0, 1.0], [0.7, 0.75, -0.5, -0.5]]])
    drawn = draw_boxes(FRAMES, boxes, colours=[RED])
    red = (drawn == RED).all(-1)
    assert red[0, 19, :30].all()
    assert red[0, :20, 29].all()
    assert red[0].sum() == 49
    np.testing.assert_array_equal(
        drawn[1], draw_boxes(FRAMES, np.array([[[0.2, 0.25, 0.5, 0.5]] * 2]), colours=[RED])[1]
    )
    far = draw_boxes(FRAMES, np.array([[[-1e12, 0.2, 2e12, 0.5]] * 2]), colours=[RED])
    assert (far[0, 8] == RED).all()


@pytest.mark.parametrize("corner", [(-0.1, -0.1), (0.9, 0.95), (0.4, 0.0), (0.9, -0.2), (-0.3, 0.5)])
def test_names_stay_inside_the_frame_and_beside_each_other(corner: tuple[float, float]) -> None:
    box = [*corner, 0.4, 0.3]
    large = FRAMES.repeat(4, axis=1).repeat(4, axis=2)
    counts = [
        [amount(frame, colour) for frame in draw_boxes(large, np.array([[b] * 2 for b in boxes]), names, [RED, GREEN])]
        for boxes in ([box, box],)
        for names in (["cone", "ball"], ["", ""])
        for colour in (RED, GREEN)
    ]
    named_red, named_green, bare_red, bare_green = (count[0] for count in counts)
    # a tag is about 30 x 13 pixels
    assert named_red > bare_red + 100
    assert named_green > bare_green + 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": FRAMES[0]}, r"Frames have shape \[40, 60, 3\] of uint8"),
        ({"frames": FRAMES / 255}, "of float64, expected"),
        ({"boxes": np.zeros((1, 3, 4))}, r"Boxes have shape \[1, 3, 4\], expected \[n, 2, 4\]"),
        ({"names": ["a", "b"]}, "2 names for 1 boxes"),
        ({"colours": [RED] * 3}, "3 colours for 1 boxes"),
        ({"upscale": 0}, "upscale is 0"),
    ],
)
def test_wrong_shapes_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_boxes(**({"frames": FRAMES, "boxes": np.zeros((1, 2, 4))} | change))


def test_videos_of_different_sizes_and_lengths_stand_side_by_side() -> None:
    small, large = np.full((3, 32, 32, 3), 10, np.uint8), np.full((5, 96, 96, 3), 200, np.uint8)
    small[2] = 60
    page = side_by_side([("small", small), ("large", large)], least=96)
    assert page.shape[0] == 5
    assert amount(page[0], (10, 10, 10)) == amount(page[4], (60, 60, 60)) == 96 * 96
    assert amount(page[0], (200, 200, 200)) >= 96 * 96
    np.testing.assert_array_equal(page[2], page[4])
    assert (page[0, :20] < 128).any()
    assert side_by_side([("one", small)]).shape[1] > 192
    with pytest.raises(ValueError, match="one size"):
        side_by_side([("small", small), ("odd", large[:, :90])], least=96)
    with pytest.raises(ValueError, match="needs videos"):
        side_by_side([])


def test_actions_keep_their_colour_from_picture_to_picture() -> None:
    edges = [replace(SLIDE, action=name) for name in ("rotate", "slide", "spin", "contain")]
    alone, together = (action_colours(GRAPH.with_edges(some)) for some in (edges[1:2], edges))
    assert alone["slide"] == together["slide"]
    assert len(set(together.values())) == 4
