"""Action graphs as people write them: which object does what to which other object, and when."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mutoscope.structures.clocked import ClockedGraph
from mutoscope.structures.graph_parts import ActionEdge, Box, GraphObject
from mutoscope.structures.plain import GraphError, check_keys, listed, located, mapped, unknown_name, whole
from mutoscope.structures.vocabulary import ActionVocabulary

__all__ = ["ActionEdge", "ActionGraph", "Box", "GraphError", "GraphObject"]

#: frames of a clip at most
_LONGEST = 100_000
_FULL_FRAME: Box = (0.0, 0.0, 1.0, 1.0)
#: who acts in Something-Something
_HAND = "hand"


@dataclass(frozen=True)
class ActionGraph:
    """Objects and clocked edges of one clip.

    Args:
        objects: in the order of the node axis. Where the vocabulary has no image node, the last one is the one that
            acts: the hand of Something-Something.
        edges: in any order; several at the same time are allowed, also on the same object.
        length: frames of the clip ``t``.
    """

    objects: tuple[GraphObject, ...]
    edges: tuple[ActionEdge, ...]
    length: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(thing.name for thing in self.objects)

    def __getitem__(self, name: str) -> GraphObject:
        """An object by its name; raises :class:`GraphError` naming the closest one."""
        return self.objects[self.index(name)]

    def index(self, name: str) -> int:
        """Position of an object; raises :class:`GraphError` naming the closest name."""
        if name not in self.names:
            raise GraphError(unknown_name("object", name, self.names))
        return self.names.index(name)

    def validate(self, vocabulary: ActionVocabulary, needs_boxes: bool = True) -> None:
        """Make sure that a model which knows ``vocabulary`` can follow this graph.

        Args:
            vocabulary: the words the model was trained with.
            needs_boxes: whether every object must have a box (it must, where video is generated).

        Raises:
            GraphError: no objects or frames, names that are not unique, unknown words (the closest is suggested),
                attributes that are missing, boxes that are missing, empty, not finite or in pixels, edges of unknown
                objects, edges that end before they start, and destinations: required by the actions of
                ``vocabulary.destinations``, refused by all others, and nowhere that the box would lie wholly outside
                the frame. Without image node, also a hand that is not the last object.
        """
        if self.length < 1:
            raise GraphError(f"The graph has {self.length} frames; a clip needs at least 1.")
        if self.length > _LONGEST:
            raise GraphError(f"The graph has {self.length:.4g} frames; a clip has {_LONGEST} at most.")
        if not self.objects:
            raise GraphError("The graph has no objects; it needs at least one.")
        for name, count in Counter(self.names).items():
            if not name or count > 1:
                raise GraphError(f"The name '{name}' is given to {count} object(s); each needs a name of its own.")
        for thing in self.objects:
            thing.validate(vocabulary, needs_boxes)
        if not vocabulary.image_node:
            self._check_hand(vocabulary)
        for where, edge in self._located_edges():
            with located(where):
                self.index(edge.object)
                edge.validate(vocabulary, self[edge.subject].box)

    def _check_hand(self, vocabulary: ActionVocabulary) -> None:
        if not any(_HAND in values for _, values in vocabulary.attributes):
            return
        hands = [thing.name for thing in self.objects if _HAND in thing.attributes.values()]
        if hands != [self.names[-1]]:
            raise GraphError(
                f"The hands of the graph are: {', '.join(hands) or 'none'}; expected one, as the last object, after "
                f"those it acts on."
            )

    def _located_edges(self) -> list[tuple[str, ActionEdge]]:
        return [(f"Action {i} ({edge})", edge) for i, edge in enumerate(self.edges, start=1)]

    def shift(self, frames: float, edges: Collection[int] | None = None) -> "ActionGraph":
        """Let actions happen later, or earlier with negative ``frames``.

        Args:
            frames: how much.
            edges: positions of the edges that move, from 0; all by default.

        Raises:
            GraphError: there is no edge at one of the positions.
        """
        if bad := [i for i in edges or () if not 0 <= i < len(self.edges)]:
            raise GraphError(f"There is no action at position {bad[0]}; the graph has {len(self.edges)}, from 0.")
        return self._retimed(lambda time: time + frames, edges)

    def stretch(self, factor: float) -> "ActionGraph":
        """Let everything take ``factor`` times as long, counted from frame 0; the clip keeps its length.

        Raises:
            GraphError: the factor is not positive.
        """
        if not 0 < factor < math.inf:
            raise GraphError(f"A graph cannot be stretched by {factor}; the factor must be positive.")
        return self._retimed(lambda time: time * factor, None)

    def _retimed(self, time: Callable[[float], float], edges: Collection[int] | None) -> "ActionGraph":
        return self.with_edges(
            replace(edge, start=time(edge.start), end=time(edge.end)) if edges is None or i in edges else edge
            for i, edge in enumerate(self.edges)
        )

    def merge(self, other: "ActionGraph") -> "ActionGraph":
        """All that happens in both graphs; objects of one name are one object, equal edges are one edge.

        The clip is as long as the longer one. The objects of ``other`` follow, but where both graphs end with the same
        object (the hand), so does the result.

        Raises:
            GraphError: objects of one name with different attributes or boxes.
        """
        theirs = {thing.name: thing for thing in other.objects}
        mine = [_joined(thing, theirs.pop(thing.name, thing)) for thing in self.objects]
        same_last = self.names[-1:] == other.names[-1:]
        before = len(mine) - 1 if same_last else len(mine)
        return ActionGraph(
            objects=(*mine[:before], *theirs.values(), *mine[before:]),
            edges=tuple(dict.fromkeys((*self.edges, *other.edges))),
            length=max(self.length, other.length),
        )

    def with_length(self, length: int) -> "ActionGraph":
        """The same actions at the same frames, in a clip of another length."""
        return replace(self, length=length)

    def with_edges(self, edges: Iterable[ActionEdge]) -> "ActionGraph":
        """The same objects doing something else."""
        return replace(self, edges=tuple(edges))

    def clocked(self, vocabulary: ActionVocabulary) -> ClockedGraph:
        """This graph as tensors, a batch of one clip.

        All objects are in the image: relations point at the image node, which is appended, or, where the vocabulary
        has none, from all other objects at the last one (spec section 3).

        Raises:
            GraphError: unknown words or objects, or an edge that does not last. Boxes and destinations are not
                checked; :meth:`validate` does that.
        """
        nodes = [thing.ids(vocabulary) for thing in self.objects]
        if vocabulary.image_node:
            nodes.append([0] * len(vocabulary.attributes))
        ends, clocks = [], []
        for where, edge in self._located_edges():
            with located(where):
                ends.append((self.index(edge.subject), vocabulary.action(edge.action), self.index(edge.object)))
                clocks.append(edge.clock(self.length))
        last = len(nodes) - 1
        triplets = torch.tensor(ends, dtype=torch.int64).reshape(-1, 3)
        relations = torch.tensor([(i, vocabulary.in_image, last) for i in range(last)], dtype=torch.int64)
        return ClockedGraph(
            attributes=torch.tensor(nodes, dtype=torch.int64).reshape(-1, len(vocabulary.attributes)),
            clip=torch.zeros(len(nodes), dtype=torch.int64),
            relations=relations.reshape(-1, 3),
            subject=triplets[:, 0],
            action=triplets[:, 1],
            object=triplets[:, 2],
            progress=torch.tensor(clocks).reshape(-1, 2),
            destination=torch.tensor([edge.destination or (0.0, 0.0) for edge in self.edges]).reshape(-1, 2),
            num_clips=1,
        )

    def boxes(self, vocabulary: ActionVocabulary) -> Tensor:
        """``[n, 4]`` first-frame boxes of the nodes of :meth:`clocked`; (0, 0, 1, 1) for the image node.

        Raises:
            GraphError: an object without box.
        """
        image = [_FULL_FRAME] if vocabulary.image_node else []
        return torch.tensor([*(thing.need_box() for thing in self.objects), *image]).reshape(-1, 4)

    @classmethod
    def from_clocked(
        cls, graph: ClockedGraph, clip: int, boxes: Tensor | None, vocabulary: ActionVocabulary, length: int
    ) -> "ActionGraph":
        """One clip of a batch in words: the inverse of :meth:`clocked` and :meth:`boxes`.

        Objects are called after their first two attributes (``gold_cone``), with a number where that is not unique.
        Numbers are rounded to the precision of float32.

        Args:
            graph: the batch.
            clip: which clip of it.
            boxes: ``[n, 4]`` or ``[n, t, 4]`` of all nodes of the batch; of a track, the first frame is taken. An
                object whose box is all zero was not seen: its box stays unknown.
            vocabulary: of the ids.
            length: frames of the clip.

        Raises:
            GraphError: what people have no word for: an image node that is not the last, an action that pads.
            IndexError: no such clip.
        """
        one = graph.select([clip])
        rows = one.attributes.tolist()[: -1 if vocabulary.image_node else None]
        words = [
            {name: _word(values, i, name) for (name, values), i in zip(vocabulary.attributes, row, strict=True)}
            for row in rows
        ]
        names = _unique("_".join(reversed([*values.values()][:2])).replace(" ", "_") for values in words)
        seen: list[Box | None] = [None] * len(rows)
        if boxes is not None:
            places = boxes[graph.nodes_of(clip)].reshape(one.num_nodes, -1, 4)[: len(rows), 0].tolist()
            seen = [_tidy_box(place) if any(place) else None for place in places]
        edges = []
        columns = (one.subject, one.action, one.object, one.progress, one.destination)
        for i, action, j, (first, last), (x, y) in zip(*(column.tolist() for column in columns), strict=True):
            if max(i, j) >= len(rows):
                raise GraphError(f"Clip {clip} has an action of the image node, which people cannot write.")
            name = _word(vocabulary.actions, action, "action").strip("_")
            destination = (_tidy(x), _tidy(y)) if vocabulary.takes_destination(action) else None
            edge = ActionEdge(names[i], name, names[j], 0.0, 1.0, destination).with_clock(first, last, length)
            edges.append(replace(edge, start=_tidy(edge.start), end=_tidy(edge.end)))
        objects = (GraphObject(*parts) for parts in zip(names, words, seen, strict=True))
        return cls(tuple(objects), tuple(edges), length)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, as in the files of :mod:`mutoscope.formats.graph_files`."""
        return {
            "length": self.length,
            "objects": {thing.name: thing.to_dict() for thing in self.objects},
            "actions": [edge.to_dict() for edge in self.edges],
        }

    @classmethod
    def from_dict(cls, values: Any) -> "ActionGraph":
        """Inverse of :meth:`to_dict`; an edge without ``object`` is a self-loop.

        The form is checked here, words and times are checked by :meth:`validate`.

        Raises:
            GraphError: unknown or missing keys (the closest is suggested) and values of the wrong kind.
        """
        fields = mapped(values, "The action graph")
        check_keys(fields, "The action graph", needed=("length", "objects", "actions"))
        objects = mapped(fields["objects"], "'objects'").items()
        rows = listed(fields["actions"], "'actions'")
        return cls(
            objects=tuple(GraphObject.from_dict(name, thing) for name, thing in objects),
            edges=tuple(ActionEdge.from_dict(row, i) for i, row in enumerate(rows, start=1)),
            length=whole(fields["length"], "'length'"),
        )


def _joined(mine: GraphObject, theirs: GraphObject) -> GraphObject:
    for what, a, b in (("attributes", dict(mine.attributes), dict(theirs.attributes)), ("box", mine.box, theirs.box)):
        if a != b and a is not None and b is not None:
            raise GraphError(f"Both graphs have an object '{mine.name}', but its {what} differ: {a} and {b}.")
    return theirs if mine.box is None else mine


def _word(names: tuple[str, ...], index: int, what: str) -> str:
    if not 0 <= index < len(names) or names[index].startswith("__"):
        raise GraphError(f"There is no {what} with id {index} that people could write; ids go to {len(names) - 1}.")
    return names[index]


def _unique(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in found:
            number, candidate = number + 1, f"{name}_{number}"
        found.append(candidate)
    return found


def _tidy(x: float) -> float:
    """Without the digits that float32 never had; adding zero turns minus zero into zero."""
    return round(x, 6) + 0.0


def _tidy_box(box: list[float]) -> Box:
    x0, y0, width, height = map(_tidy, box)
    return x0, y0, width, height
