import math
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mutoscope.structures import (
    CATER_VOCABULARY,
    ActionEdge,
    ActionGraph,
    ClockedGraph,
    GraphError,
    GraphObject,
    something_vocabulary,
)

CATER = CATER_VOCABULARY
SOMETHING = something_vocabulary(["cup", "hand", "plastic bag"])
CONE = {"shape": "cone", "color": "gold", "material": "metal", "size": "large"}
BALL = {"shape": "sphere", "color": "red", "material": "rubber", "size": "small"}
OBJECTS = (GraphObject("cone", CONE, (0.2, 0.3, 0.22, 0.27)), GraphObject("ball", BALL, (0.6, 0.5, 0.1, 0.1)))
SLIDE = ActionEdge("cone", "slide", "cone", 0, 8, (0.5, 0.4))
CONTAIN = ActionEdge("cone", "contain", "ball", 8, 16)
GRAPH = ActionGraph(OBJECTS, (SLIDE, CONTAIN), 16)
TABLE = ActionGraph(
    (
        GraphObject("cup", {"object": "cup"}, (0.1, 0.1, 0.2, 0.2)),
        GraphObject("bag", {"object": "plastic bag"}, (0.5, 0.5, 0.2, 0.2)),
        GraphObject("hand", {"object": "hand"}, (0.7, 0.6, 0.3, 0.4)),
    ),
    (ActionEdge("hand", "cover", "cup", 0, 15), ActionEdge("cup", "cover", "bag", 0, 15)),
    16,
)


def ball(**changes: object) -> ActionGraph:
    return replace(GRAPH, objects=(OBJECTS[0], replace(OBJECTS[1], **changes)))


def slide(**changes: object) -> ActionGraph:
    return replace(GRAPH, edges=(CONTAIN, replace(SLIDE, **changes)))


def contain(**changes: object) -> ActionGraph:
    return replace(GRAPH, edges=(SLIDE, replace(CONTAIN, **changes)))


def test_good_graphs_are_valid() -> None:
    GRAPH.validate(CATER)
    TABLE.validate(SOMETHING)
    ball(box=None).validate(CATER, needs_boxes=False)
    # cut off by the left border, at the place where it would still be seen
    slide(destination=(-0.2, 0.0)).validate(CATER)
    slide(start=-30.5, end=80).validate(CATER)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (replace(GRAPH, length=0), "0 frames; a clip needs at least 1"),
        (ActionGraph((), (), 4), "no objects"),
        (ball(name="cone"), "'cone' is given to 2 object"),
        (ball(name=""), "'' is given to 1 object"),
        (ball(attributes=BALL | {"color": "goldd"}), r"Object 'ball': There is no color 'goldd'.*mean 'gold'"),
        (ball(attributes=BALL | {"colour": "gold"}), r"Object 'ball': .*no attribute 'colour'.*mean 'color'"),
        (ball(attributes=CONE | {"shape": "__image__"}), "no shape '__image__'"),
        (ball(attributes={"shape": "cone"}), "Object 'ball' has no color; give it one of gray, red"),
        (ball(box=None), r"Object 'ball' has no box; give it 'box"),
        (ball(box=(0.1, 0.1, 0.0, 0.2)), r"box of object 'ball' is \(0.1, 0.1, 0, 0.2\).*above 0"),
        (ball(box=(math.nan, 0.1, 0.1, 0.2)), r"box of object 'ball' is \(nan, .*finite"),
        (ball(box=(16, 20, 12, 8)), r"box of object 'ball' is \(16, 20, 12, 8\).*divide pixels by"),
        (slide(subject="con"), r"Action 2 \(con slide cone, .*no object 'con'.*mean 'cone'"),
        (contain(object="bell"), r"Action 2 \(cone contain bell, frames 8 to 16\).*no object 'bell'.*mean 'ball'"),
        (slide(action="slid"), r"Action 2 .*no action 'slid'.*mean 'slide'"),
        (slide(action="__in_image__"), "no action '__in_image__'"),
        (slide(start=8, end=8), "Action 2 .*ends at frame 8, but must end after its start, frame 8"),
        (slide(start=9, end=8), "ends at frame 8"),
        (slide(end=math.inf), "finite frame numbers"),
        (slide(start=math.nan), "finite frame numbers"),
        (slide(destination=None), "Action 2 .*'slide' needs a destination"),
        (contain(destination=(0.1, 0.1)), "Action 2 .*'contain' takes no destination"),
        (slide(destination=(0.5, 1.2)), r"destination \(0.5, 1.2\) lies outside the frame"),
        (slide(destination=(-0.23, 0.2)), r"destination \(-0.23, 0.2\) lies outside"),
        (slide(destination=(math.nan, 0.2)), "lies outside"),
    ],
)
def test_what_is_wrong_is_named(graph: ActionGraph, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph.validate(CATER)


def test_the_hand_must_be_the_last_object() -> None:
    for objects, found in (
        (TABLE.objects[::-1], "hand"),
        (TABLE.objects[:2], "none"),
        (TABLE.objects[2:] * 2, "given"),
    ):
        with pytest.raises(GraphError, match=found):
            ActionGraph(objects, (), 16).validate(SOMETHING)
    something_else = something_vocabulary(["cup"])
    ActionGraph(TABLE.objects[:1], (), 16).validate(something_else)


def test_clocked_appends_the_image_node_and_ties_all_objects_to_it() -> None:
    GRAPH.validate(CATER)
    found = GRAPH.clocked(CATER)
    assert found.attributes.tolist() == [[5, 9, 2, 2], [2, 2, 1, 1], [0, 0, 0, 0]]
    assert found.relations.tolist() == [[0, CATER.in_image, 2], [1, CATER.in_image, 2]]
    assert (found.subject.tolist(), found.action.tolist(), found.object.tolist()) == ([0, 0], [2, 3], [0, 1])
    assert found.progress.tolist() == [[0.0, 2.0], [-1.0, 1.0]]
    torch.testing.assert_close(found.destination, torch.tensor([[0.5, 0.4], [0.0, 0.0]]))
    assert found.real.tolist() == [True, True, False]
    torch.testing.assert_close(GRAPH.boxes(CATER)[1:], torch.tensor([[0.6, 0.5, 0.1, 0.1], [0.0, 0.0, 1.0, 1.0]]))


def test_clocked_without_image_node_ties_the_others_to_the_hand() -> None:
    found = TABLE.clocked(SOMETHING)
    assert found.num_nodes == 3
    assert found.relations.tolist() == [[0, SOMETHING.in_image, 2], [1, SOMETHING.in_image, 2]]
    assert (found.subject.tolist(), found.object.tolist()) == ([2, 0], [0, 1])
    assert TABLE.boxes(SOMETHING).shape == (3, 4)


def test_an_edge_is_active_from_its_start_to_its_end() -> None:
    edges = (replace(SLIDE, start=3, end=9), replace(CONTAIN, start=-4, end=2.5), replace(CONTAIN, start=12, end=40))
    clocks = replace(GRAPH, edges=edges).clocked(CATER).clocks(16)
    active = (clocks > -1e-4) & (clocks < 1 + 1e-4)
    for column, edge in enumerate(edges):
        assert [t for t in range(16) if active[t, column]] == [t for t in range(16) if edge.start <= t <= edge.end]


def test_a_graph_without_actions_or_other_objects_has_empty_edges() -> None:
    found = ActionGraph(OBJECTS[:1], (), 8).clocked(CATER)
    assert (found.num_nodes, found.num_actions) == (2, 0)
    assert found.progress.shape == found.destination.shape == (0, 2)
    alone = ActionGraph(TABLE.objects[2:], (), 8).clocked(SOMETHING)
    assert alone.relations.shape == (0, 3)
    assert ClockedGraph.cat([alone, TABLE.clocked(SOMETHING)]).num_nodes == 4


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (slide(start=8, end=8), "Action 2 .*must end after its start"),
        (slide(action="fly"), "Action 2 .*no action 'fly'"),
        (contain(object="bell"), "Action 2 .*no object 'bell'"),
        (ball(attributes={"shape": "cone"}), "has no color"),
    ],
)
def test_clocked_refuses_what_has_no_ids(graph: ActionGraph, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph.clocked(CATER)
    with pytest.raises(GraphError, match="no box"):
        ball(box=None).boxes(CATER)


finite = st.floats(-50, 50, allow_nan=False, width=32)
fraction = st.floats(0, 1, width=32)


@st.composite
def graphs(draw: st.DrawFn, cater: bool = True) -> ActionGraph:
    vocabulary = CATER if cater else SOMETHING
    words = {name: st.sampled_from(values[1:]) for name, values in vocabulary.attributes}
    box = st.tuples(fraction, fraction, st.floats(0.0625, 1, width=32), st.floats(0.0625, 1, width=32))
    objects = tuple(
        GraphObject(f"thing {i}", {name: draw(word) for name, word in words.items()}, draw(box))
        for i in range(draw(st.integers(1, 5)))
    )
    names = st.sampled_from([thing.name for thing in objects])
    edges = []
    for _ in range(draw(st.integers(0, 5))):
        action, start = draw(st.sampled_from(vocabulary.action_names)), draw(finite)
        place = draw(st.tuples(fraction, fraction)) if action in ("slide", "pick_place") else None
        edges.append(
            ActionEdge(draw(names), action, draw(names), start, start + draw(st.floats(0.5, 60, width=32)), place)
        )
    return ActionGraph(objects, tuple(edges), draw(st.integers(1, 40)))


def assert_same(found: ClockedGraph, expected: ClockedGraph) -> None:
    for name in ("attributes", "clip", "relations", "subject", "action", "object"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    for name in ("progress", "destination"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-4, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.booleans().flatmap(lambda cater: st.tuples(st.just(cater), graphs(cater=cater), graphs(cater=cater))))
def test_words_to_tensors_and_back(drawn: tuple[bool, ActionGraph, ActionGraph]) -> None:
    cater, *asked = drawn
    vocabulary = CATER if cater else SOMETHING
    batch = ClockedGraph.cat([graph.clocked(vocabulary) for graph in asked])
    boxes = torch.cat([graph.boxes(vocabulary) for graph in asked])
    tracks = torch.stack([boxes, torch.rand_like(boxes)], dim=1)
    for clip, graph in enumerate(asked):
        found = ActionGraph.from_clocked(batch, clip, tracks, vocabulary, graph.length)
        assert_same(found.clocked(vocabulary), graph.clocked(vocabulary))
        torch.testing.assert_close(found.boxes(vocabulary), graph.boxes(vocabulary), atol=1e-5, rtol=0)
        assert [dict(o.attributes) for o in found.objects] == [dict(o.attributes) for o in graph.objects]
        if cater:
            found.validate(vocabulary)
        # a second time nothing changes, names included
        again = ActionGraph.from_clocked(
            found.clocked(vocabulary), 0, found.boxes(vocabulary), vocabulary, graph.length
        )
        assert again.names == found.names


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_the_written_form_says_everything(graph: ActionGraph) -> None:
    assert ActionGraph.from_dict(graph.to_dict()) == graph


def test_names_are_readable_and_unique() -> None:
    twins = ActionGraph((OBJECTS[0], OBJECTS[1], replace(OBJECTS[0], name="other")), (CONTAIN,), 16)
    found = ActionGraph.from_clocked(twins.clocked(CATER), 0, None, CATER, 16)
    assert found.names == ("gold_cone", "red_sphere", "gold_cone_2")
    assert found.edges == (ActionEdge("gold_cone", "contain", "red_sphere", 8, 16),)
    assert found["red_sphere"].box is None
    bags = ActionGraph.from_clocked(TABLE.clocked(SOMETHING), 0, torch.zeros(3, 4), SOMETHING, 16)
    assert bags.names == ("cup", "plastic_bag", "hand")
    assert bags["cup"].box is None


def test_what_people_cannot_write_is_refused() -> None:
    clocked = GRAPH.clocked(CATER)
    for change, message in (
        ({"action": torch.tensor([2, CATER.padding_action])}, "no action with id 6"),
        ({"object": torch.tensor([0, 2])}, "action of the image node"),
        ({"attributes": torch.zeros_like(clocked.attributes)}, "no shape with id 0"),
        ({"progress": torch.tensor([[0.0, 1.0], [0.5, 0.5]])}, "from 0.5 to 0.5; it must grow"),
    ):
        with pytest.raises(GraphError, match=message):
            ActionGraph.from_clocked(replace(clocked, **change), 0, None, CATER, 16)


def test_shift_and_stretch_move_the_clocks() -> None:
    assert [(e.start, e.end) for e in GRAPH.shift(4).edges] == [(4, 12), (12, 20)]
    assert [(e.start, e.end) for e in GRAPH.shift(-8, edges=[1]).edges] == [(0, 8), (0, 8)]
    assert GRAPH.shift(5, edges=[]) == GRAPH
    assert [(e.start, e.end) for e in GRAPH.stretch(0.5).edges] == [(0, 4), (4, 8)]
    assert GRAPH.stretch(2).length == GRAPH.length
    # twice as long in a clip twice as long is the same progress
    slow = GRAPH.stretch(2).with_length(32).clocked(CATER)
    assert torch.equal(slow.progress, GRAPH.clocked(CATER).progress)
    with pytest.raises(GraphError, match="no action at position 2"):
        GRAPH.shift(1, edges=[2])
    for factor in (0, -1, math.nan, math.inf):
        with pytest.raises(GraphError, match="must be positive"):
            GRAPH.stretch(factor)


def test_merge_joins_objects_by_name() -> None:
    assert GRAPH.merge(GRAPH) == GRAPH
    cube = GraphObject("cube", BALL | {"shape": "cube"}, (0.0, 0.0, 0.1, 0.1))
    other = ActionGraph((cube, replace(OBJECTS[0], box=None)), (ActionEdge("cube", "rotate", "cube", 0, 4),), 24)
    both = GRAPH.merge(other)
    assert both.names == ("cone", "ball", "cube")
    assert (both.length, both["cone"].box) == (24, OBJECTS[0].box)
    assert both.edges == GRAPH.edges + other.edges
    assert other.merge(GRAPH)["cone"].box == OBJECTS[0].box
    both.validate(CATER)
    for change, what in (({"box": (0.0, 0.0, 0.5, 0.5)}, "box"), ({"attributes": CONE}, "attributes")):
        with pytest.raises(GraphError, match=f"object 'ball', but its {what} differ"):
            GRAPH.merge(ball(**change))


def test_merge_keeps_the_hand_last() -> None:
    other = replace(
        TABLE, objects=(GraphObject("mug", {"object": "cup"}, (0.4, 0.4, 0.1, 0.1)), TABLE.objects[2]), edges=()
    )
    both = TABLE.merge(other)
    assert both.names == ("cup", "bag", "mug", "hand")
    both.validate(SOMETHING)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lenght": 3}, "no key 'lenght'.*mean 'length'"),
        ({"length": 3.5}, "'length' is 3.5, expected a whole number"),
        ({"length": True}, "'length' is True, expected a number"),
        ({"length": math.inf}, "'length' is inf, expected a whole number"),
        ({"objects": []}, r"'objects' is \[\], expected a mapping"),
        ({"objects": {"a": "cone"}}, "Object 'a' is 'cone', expected a mapping"),
        ({"objects": {7: CONE}}, "Object '7' is 7, expected text"),
        ({"objects": {"a": CONE | {"color": 3}}}, "'color' of object 'a' is 3, expected text"),
        ({"objects": {"a": CONE | {"box": [1, 2, 3]}}}, "'box' of object 'a' has 3 numbers, expected 4"),
        ({"objects": {"a": CONE | {"box": "here"}}}, "'box' of object 'a' is 'here', expected a list"),
        ({"actions": {}}, "'actions' is {}, expected a list"),
        ({"actions": [{"subject": "a"}]}, "action 1 has no 'action'"),
        ({"actions": [SLIDE.to_dict(), SLIDE.to_dict() | {"ende": 3}]}, "action 2: There is no key 'ende'.*'end'"),
        ({"actions": [SLIDE.to_dict() | {"start": "soon"}]}, "'start' of action 1 is 'soon', expected a number"),
        ({"actions": [SLIDE.to_dict() | {"destination": [1, None]}]}, "'destination' of action 1 is None"),
    ],
)
def test_a_wrong_form_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        ActionGraph.from_dict(GRAPH.to_dict() | change)


def test_a_missing_part_is_named() -> None:
    with pytest.raises(GraphError, match=re.escape("has no 'length'; it needs length, objects, actions")):
        ActionGraph.from_dict({"objects": {}, "actions": []})
    with pytest.raises(GraphError, match="is None, expected a mapping"):
        ActionGraph.from_dict(None)


def test_objects_are_found_by_name() -> None:
    assert GRAPH["ball"] is OBJECTS[1]
    with pytest.raises(GraphError, match=r"no object 'bal'.*mean 'ball'"):
        GRAPH["bal"]
