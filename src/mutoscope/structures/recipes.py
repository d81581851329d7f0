"""Action graphs of actions that no training clip shows: composed of known ones, or at other times (spec section 9).

All take the objects of a scene with their first boxes, and make the edges. ``timing`` says when: ``normal`` over the
clip, ``early`` in its first third, ``late`` from two thirds on (a huddle: rather in its first or second half).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar, get_args

from mutoscope.structures.action_graph import ActionEdge, ActionGraph, GraphError, GraphObject

Timing = Literal["normal", "early", "late"]
#: progress of an action at the first frame and one past the last
Clock = tuple[float, float]

EARLY: Clock = (0.0, 3.0)
LATE: Clock = (-2.0, 1.0)
#: an action that just fills the clip, for CATER and for the moves of Something-Something
SINGLE, MOVE = (0.0, 1.1), (0.0, 1.01)
_SWAP: Clock = (-0.3, 1.3)
#: how far from the border an object must be to have room for a move, as fraction of the frame
_ROOM = 0.35
_Choice = TypeVar("_Choice")


def single(
    objects: Sequence[GraphObject],
    length: int,
    action: str,
    subject: str,
    target: str | None = None,
    *,
    destination: tuple[float, float] | None = None,
    clock: Clock = SINGLE,
    timing: Timing = "normal",
) -> ActionGraph:
    """One action over the whole clip.

    Args:
        objects: all objects of the scene.
        length: frames of the clip.
        action: its name.
        subject: name of the object that acts.
        target: name of the other object; ``None`` for a self-loop.
        destination: where the subject's box ends up, for actions that take one.
        clock: progress at the first frame and one past the last, for the normal timing.
        timing: when.

    Raises:
        GraphError: unknown object.
    """
    edge = _edge(subject, action, target or subject, destination)
    return _graph(objects, length, [edge.with_clock(*_clock(clock, timing), length)])


def swap(
    objects: Sequence[GraphObject], length: int, first: str, second: str, *, timing: Timing = "normal"
) -> ActionGraph:
    """Two objects change places: ``first`` is picked up and placed while ``second`` slides.

    Raises:
        GraphError: unknown objects, twice the same, or one without box.
    """
    if first == second:
        raise GraphError(f"'{first}' cannot swap with itself; name two objects.")
    scene = _graph(objects, length, [])
    corners = {name: scene[name].need_box()[:2] for name in (first, second)}
    clock = _clock(_SWAP, timing)
    moves = ((first, "pick_place", second), (second, "slide", first))
    return scene.with_edges(_edge(who, how, who, corners[to]).with_clock(*clock, length) for who, how, to in moves)


def huddle(
    objects: Sequence[GraphObject], length: int, centre: str | None = None, *, timing: Timing = "normal"
) -> ActionGraph:
    """All objects contain one, ever later ones being ever further: they gather over it.

    Args:
        objects: at least two.
        length: frames of the clip.
        centre: name of the object they gather over; the first by default.
        timing: when.

    Raises:
        GraphError: fewer than two objects, or an unknown centre.
    """
    if len(objects) < 2:
        raise GraphError(f"A huddle needs at least two objects, got {len(objects)}.")
    scene = _graph(objects, length, [])
    middle = scene[objects[0].name if centre is None else centre].name
    shares = [j / len(objects) for j in range(1, len(objects))]
    clocks: dict[Timing, list[Clock]] = {
        "normal": [(share, 1.05) for share in shares],
        "early": [(-share, 2.0) for share in shares],
        "late": [(-share - 1, 1.05) for share in shares],
    }
    others = [name for name in scene.names if name != middle]
    return scene.with_edges(
        _edge(name, "contain", middle).with_clock(*clock, length)
        for name, clock in zip(others, _checked(clocks, timing), strict=True)
    )


def right_up(
    objects: Sequence[GraphObject],
    length: int,
    target: str | None = None,
    *,
    hand: str | None = None,
    needs_room: bool = True,
    timing: Timing = "normal",
) -> ActionGraph:
    """The hand pushes an object to the right and moves it up at once.

    Args:
        objects: the last one is the hand.
        length: frames of the clip.
        target: name of the object that is moved; the first by default.
        hand: name of the object that acts; the last by default.
        needs_room: refuse objects so near the border that they would leave the frame.
        timing: when.

    Raises:
        GraphError: unknown objects, or an object whose box is unknown or begins right of 0.65 or above 0.35 although
            it needs room.
    """
    graph = _moves(objects, length, ("up", "right"), target, hand, timing)
    if needs_room:
        name, x, y = _corner(graph)
        if x > 1 - _ROOM or y < _ROOM:
            raise GraphError(
                f"There is no room to move '{name}' right and up from ({x:g}, {y:g}); its box must begin left of "
                f"{1 - _ROOM:g} and below {_ROOM:g}."
            )
    return graph


def down_left(
    objects: Sequence[GraphObject],
    length: int,
    target: str | None = None,
    *,
    hand: str | None = None,
    needs_room: bool = True,
    timing: Timing = "normal",
) -> ActionGraph:
    """The hand moves an object down and pushes it to the left at once; arguments as in :func:`right_up`.

    Raises:
        GraphError: unknown objects, or an object whose box is unknown or begins left of 0.35 or below 0.65 although
            it needs room.
    """
    graph = _moves(objects, length, ("down", "left"), target, hand, timing)
    if needs_room:
        name, x, y = _corner(graph)
        if x < _ROOM or y > 1 - _ROOM:
            raise GraphError(
                f"There is no room to move '{name}' down and left from ({x:g}, {y:g}); its box must begin right of "
                f"{_ROOM:g} and above {1 - _ROOM:g}."
            )
    return graph


def early_late(graph: ActionGraph) -> tuple[ActionGraph, ActionGraph]:
    """The same actions, all of them done in the first third of the clip, or begun after two thirds.

    A huddle has staggered clocks of its own; make it with ``timing`` instead.
    """
    early, late = (
        graph.with_edges(edge.with_clock(*clock, graph.length) for edge in graph.edges) for clock in (EARLY, LATE)
    )
    return early, late


def _moves(
    objects: Sequence[GraphObject],
    length: int,
    actions: tuple[str, str],
    target: str | None,
    hand: str | None,
    timing: Timing,
) -> ActionGraph:
    if len(objects) < 2:
        raise GraphError(f"A hand needs an object to move, but there are {len(objects)} objects; expected two or more.")
    scene = _graph(objects, length, [])
    who = scene[objects[-1].name if hand is None else hand].name
    what = scene[objects[0].name if target is None else target].name
    clock = _clock(MOVE, timing)
    return scene.with_edges(_edge(who, action, what).with_clock(*clock, length) for action in actions)


def _corner(graph: ActionGraph) -> tuple[str, float, float]:
    """Name and top-left corner of what the first edge moves."""
    moved = graph[graph.edges[0].object]
    x, y, _, _ = moved.need_box()
    return moved.name, x, y


def _graph(objects: Sequence[GraphObject], length: int, edges: Sequence[ActionEdge]) -> ActionGraph:
    graph = ActionGraph(tuple(objects), tuple(edges), length)
    for edge in edges:
        graph.index(edge.subject)
        graph.index(edge.object)
    return graph


def _edge(subject: str, action: str, target: str, destination: tuple[float, float] | None = None) -> ActionEdge:
    return ActionEdge(subject, action, target, 0.0, 1.0, destination)


def _clock(normal: Clock, timing: Timing) -> Clock:
    return _checked({"normal": normal, "early": EARLY, "late": LATE}, timing)


def _checked(choices: Mapping[Timing, _Choice], timing: Timing) -> _Choice:
    if timing not in choices:
        raise GraphError(f"There is no timing '{timing}'; expected one of {', '.join(get_args(Timing))}.")
    return choices[timing]
