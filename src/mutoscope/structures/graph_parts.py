"""What action graphs consist of: objects and clocked edges, each with its checks and its written form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mutoscope.structures.plain import GraphError, check_keys, located, mapped, number, numbers, text
from mutoscope.structures.vocabulary import ActionVocabulary

Box = tuple[float, float, float, float]
#: no box in or near the frame has numbers beyond this, boxes in pixels have
_FAR = 4
#: what is smaller than this part of the frame cannot be seen
_SMALLEST = 1e-6
#: frames: no action is shorter, and none begins or ends later
_SHORTEST, _LATEST = 1e-3, 1e6


@dataclass(frozen=True)
class GraphObject:
    """A node.

    Args:
        name: how edges call it, unique in its graph.
        attributes: attribute -> value, e.g. ``{"shape": "cone", "color": "gold", ...}`` or ``{"object": "cup"}``.
        box: (x0, y0, width, height) in the first frame as fractions of the frame; ``None`` while unknown.
    """

    name: str
    attributes: Mapping[str, str]
    box: Box | None = None

    def ids(self, vocabulary: ActionVocabulary) -> list[int]:
        """Ids of the attributes' values, in the order of the vocabulary.

        Raises:
            GraphError: an unknown or missing attribute, or an unknown value.
        """
        where = f"Object '{self.name}'"
        with located(where):
            found = {name: vocabulary.value(name, value) for name, value in self.attributes.items()}
        for name, values in vocabulary.attributes:
            if name not in found:
                raise GraphError(f"{where} has no {name}; give it one of {', '.join(values[1:])}.")
        return [found[name] for name in vocabulary.attribute_names]

    def need_box(self) -> Box:
        """The box, or a :class:`GraphError` where it is unknown."""
        if self.box is None:
            raise GraphError(
                f"Object '{self.name}' has no box; give it 'box: [x0, y0, width, height]' as fractions of the frame."
            )
        return self.box

    def validate(self, vocabulary: ActionVocabulary, needs_box: bool) -> None:
        """Raise :class:`GraphError` for unknown words and a box that is missing, empty, not finite or far away."""
        self.ids(vocabulary)
        if self.box is None and not needs_box:
            return
        box = self.need_box()
        if not all(map(math.isfinite, box)) or not min(box[2:]) > _SMALLEST:
            raise GraphError(
                f"The box of object '{self.name}' is ({', '.join(f'{x:g}' for x in box)}); expected finite "
                "(x0, y0, width, height) with width and height above 0."
            )
        if max(map(abs, box)) > _FAR:
            raise GraphError(
                f"The box of object '{self.name}' is ({', '.join(f'{x:g}' for x in box)}); expected fractions of the "
                "frame: divide pixels by its width and height."
            )

    def to_dict(self) -> dict[str, Any]:
        box = {} if self.box is None else {"box": list(self.box)}
        return {**self.attributes, **box}

    @classmethod
    def from_dict(cls, name: Any, values: Any) -> "GraphObject":
        where = f"Object '{name}'"
        fields = mapped(values, where)
        attributes = {text(k, where): text(v, f"'{k}' of object '{name}'") for k, v in fields.items() if k != "box"}
        if fields.get("box") is None:
            return cls(text(name, where), attributes)
        x0, y0, width, height = numbers(fields["box"], f"'box' of object '{name}'", 4)
        return cls(text(name, where), attributes, (x0, y0, width, height))


@dataclass(frozen=True)
class ActionEdge:
    """A clocked edge ``(i, a, j, t_s, t_e)`` (paper, section 3).

    Args:
        subject, object: names of objects; the same for an action that needs one object only.
        action: its name, without leading underscores.
        start, end: frames of the generated clip, fractions allowed; before 0 or past its end are allowed too.
        destination: where the top-left corner of the subject's box ends up, as fractions of the frame.
    """

    subject: str
    action: str
    object: str
    start: float
    end: float
    destination: tuple[float, float] | None = None

    def __str__(self) -> str:
        target = "" if self.object == self.subject else f" {self.object}"
        return f"{self.subject} {self.action}{target}, frames {self.start:g} to {self.end:g}"

    def clock(self, length: int) -> tuple[float, float]:
        """Progress at the first frame of a clip of ``length`` frames and one past its last (spec, section 1).

        Raises:
            GraphError: times that are not finite or beyond any clip, or an end that does not come after the start.
        """
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise GraphError("start and end must be finite frame numbers.")
        if max(abs(self.start), abs(self.end)) > _LATEST:
            raise GraphError(f"it goes from frame {self.start:g} to {self.end:g}; frames go to {_LATEST:g} at most.")
        if not self.end > self.start:
            raise GraphError(f"it ends at frame {self.end:g}, but must end after its start, frame {self.start:g}.")
        # its clock would not be finite
        if self.end - self.start < _SHORTEST:
            raise GraphError(f"it lasts {self.end - self.start:g} frames, expected {_SHORTEST:g} or more.")
        return -self.start / (self.end - self.start), (length - self.start) / (self.end - self.start)

    def with_clock(self, first: float, last: float, length: int) -> "ActionEdge":
        """The edge whose :meth:`clock` is ``(first, last)`` in a clip of ``length`` frames.

        Raises:
            GraphError: progress that does not grow.
        """
        if not first < last < math.inf:
            raise GraphError(
                f"The progress of '{self.subject} {self.action}' goes from {first:g} to {last:g}; it must grow."
            )
        frames = length / (last - first)
        # adding zero turns minus zero into zero, which people read
        return replace(self, start=-first * frames + 0.0, end=(1 - first) * frames + 0.0)

    def validate(self, vocabulary: ActionVocabulary, box: Box | None) -> None:
        """Make sure that the edge can be followed; ``box`` is its subject's.

        Raises:
            GraphError: an unknown action, times as in :meth:`clock`, a destination that is missing where the action
                takes one or given where it takes none, or one where the box would lie wholly outside the frame.
        """
        action = vocabulary.action(self.action)
        self.clock(1)
        if self.destination is None:
            if vocabulary.takes_destination(action):
                raise GraphError(
                    f"'{self.action}' needs a destination, the (x, y) where the top-left corner of the box of "
                    f"'{self.subject}' ends up, as fractions of the frame."
                )
            return
        if not vocabulary.takes_destination(action):
            raise GraphError(f"'{self.action}' takes no destination; remove it.")
        # boxes that the border cuts have their corner beyond it
        low = (0.0, 0.0) if box is None else (-box[2], -box[3])
        if not all(least <= x <= 1 for x, least in zip(self.destination, low, strict=True)):
            x, y = self.destination
            raise GraphError(f"the destination ({x:g}, {y:g}) lies outside the frame, which goes from 0 to 1.")

    def to_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"subject": self.subject, "action": self.action}
        if self.object != self.subject:
            row["object"] = self.object
        row |= {"start": self.start, "end": self.end}
        if self.destination is not None:
            row["destination"] = list(self.destination)
        return row

    @classmethod
    def from_dict(cls, values: Any, position: int) -> "ActionEdge":
        where = f"action {position}"
        fields = mapped(values, where)
        check_keys(fields, where, needed=("subject", "action", "start", "end"), optional=("object", "destination"))
        destination = None
        if fields.get("destination") is not None:
            x, y = numbers(fields["destination"], f"'destination' of {where}", 2)
            destination = (x, y)
        return cls(
            subject=text(fields["subject"], f"'subject' of {where}"),
            action=text(fields["action"], f"'action' of {where}"),
            object=text(fields.get("object", fields["subject"]), f"'object' of {where}"),
            start=number(fields["start"], f"'start' of {where}"),
            end=number(fields["end"], f"'end' of {where}"),
            destination=destination,
        )
