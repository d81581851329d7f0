import pytest
import torch

from mutoscope.structures import CATER_VOCABULARY, GraphError, GraphObject, early_late, something_vocabulary
from mutoscope.structures.recipes import Timing, down_left, huddle, right_up, single, swap

SOMETHING = something_vocabulary(["cup", "hand"])
GOLD = {"shape": "cone", "color": "gold", "material": "metal", "size": "large"}
SCENE = [GraphObject(name, GOLD, (0.1 * i, 0.15 * i, 0.2, 0.25)) for i, name in enumerate("abcde")]


def table(x: float, y: float) -> list[GraphObject]:
    return [
        GraphObject("cup", {"object": "cup"}, (x, y, 0.1, 0.1)),
        GraphObject("hand", {"object": "hand"}, (0.5, 0.5, 0.4, 0.4)),
    ]


def test_swapping_objects_end_where_the_other_began() -> None:
    graph = swap(SCENE, 16, "d", "b")
    graph.validate(CATER_VOCABULARY)
    assert [(e.subject, e.action, e.object) for e in graph.edges] == [("d", "pick_place", "d"), ("b", "slide", "b")]
    assert [e.destination for e in graph.edges] == [SCENE[1].box[:2], SCENE[3].box[:2]]
    assert [(e.start, e.end) for e in graph.edges] == [(pytest.approx(3), pytest.approx(13))] * 2


def test_all_others_gather_over_the_centre() -> None:
    graph = huddle(SCENE, 16, "c")
    graph.validate(CATER_VOCABULARY)
    assert [(e.subject, e.object) for e in graph.edges] == [("a", "c"), ("b", "c"), ("d", "c"), ("e", "c")]
    assert graph.clocked(CATER_VOCABULARY).progress[:, 0].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize("timing", ["early", "late"])
def test_timed_actions_run_in_their_third_of_the_clip(timing: Timing) -> None:
    graphs = (
        swap(SCENE, 24, "a", "b", timing=timing),
        right_up(table(0.5, 0.5), 24, timing=timing),
        down_left(table(0.5, 0.5), 24, timing=timing),
        single(SCENE, 24, "rotate", "a", timing=timing),
        early_late(single(SCENE, 24, "contain", "a", "b"))[timing == "late"],
    )
    expected = (0, 8) if timing == "early" else (16, 24)
    for graph in graphs:
        assert [(e.start, e.end) for e in graph.edges] == [pytest.approx(expected)] * len(graph.edges)


def test_huddles_are_done_early_or_late() -> None:
    early, late = (huddle(SCENE, 30, timing=timing) for timing in ("early", "late"))
    assert all(0 < e.start < e.end < 20 for e in early.edges)
    assert all(15 < e.start < 28 < e.end < 30 for e in late.edges)
    first, last = late.clocked(CATER_VOCABULARY).progress.unbind(1)
    torch.testing.assert_close(first, -torch.tensor([1.2, 1.4, 1.6, 1.8]))
    torch.testing.assert_close(last, torch.full((4,), 1.05))


def test_moves_happen_at_once() -> None:
    for recipe, actions in ((right_up, {"up", "right"}), (down_left, {"down", "left"})):
        graph = recipe(table(0.5, 0.5), 16)
        graph.validate(SOMETHING)
        assert {(e.subject, e.action, e.object) for e in graph.edges} == {("hand", a, "cup") for a in actions}
        assert len({(e.start, e.end) for e in graph.edges}) == 1


@pytest.mark.parametrize(
    ("x", "y", "up", "down"),
    [
        (0.65, 0.35, True, True),
        (0.66, 0.5, False, True),
        (0.5, 0.34, False, True),
        (0.34, 0.5, True, False),
        (0.5, 0.66, True, False),
        (0.9, 0.9, False, False),
    ],
)
def test_moves_need_room(x: float, y: float, up: bool, down: bool) -> None:
    for recipe, fits in ((right_up, up), (down_left, down)):
        if fits:
            recipe(table(x, y), 16)
        else:
            with pytest.raises(GraphError, match="no room to move 'cup'"):
                recipe(table(x, y), 16)
        recipe(table(x, y), 16, needs_room=False)


def test_single_actions_fill_the_clip() -> None:
    graph = single(SCENE, 11, "slide", "b", destination=(0.5, 0.5))
    graph.validate(CATER_VOCABULARY)
    (edge,) = graph.edges
    assert (edge.subject, edge.object, edge.start, edge.end) == ("b", "b", 0, pytest.approx(10))
    assert single(SCENE, 11, "contain", "b", "a").edges[0].object == "a"


def test_what_cannot_be_composed_is_refused() -> None:
    unseen = [GraphObject("a", GOLD), GraphObject("b", GOLD)]
    for make, message in (
        (lambda: swap(SCENE, 16, "a", "a"), "cannot swap with itself"),
        (lambda: swap(SCENE, 16, "a", "x"), "no object 'x'"),
        (lambda: swap(unseen, 16, "a", "b"), "'a' has no box"),
        (lambda: swap(SCENE, 16, "a", "b", timing="soon"), "no timing 'soon'; expected one of normal, early, late"),
        (lambda: huddle(SCENE[:1], 16), "at least two objects, got 1"),
        (lambda: huddle(SCENE, 16, "z"), "no object 'z'"),
        (lambda: right_up(table(0.5, 0.5)[1:], 16), "needs an object to move"),
        (lambda: down_left(table(0.5, 0.5), 16, "cap"), "no object 'cap'.*mean 'cup'"),
        (lambda: right_up(unseen, 16), "'a' has no box"),
        (lambda: single(SCENE, 16, "slide", "q"), "no object 'q'"),
        (lambda: single(SCENE, 16, "rotate", "a", clock=(1.0, 0.5)), "goes from 1 to 0.5; it must grow"),
    ):
        with pytest.raises(GraphError, match=message):
            make()
