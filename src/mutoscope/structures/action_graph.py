"""Action graphs as people write them: which object does what to which other object, and when."""

from collections.abc import Mapping
from dataclasses import dataclass

Box = tuple[float, float, float, float]


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


@dataclass(frozen=True)
class ActionGraph:
    """Objects and clocked edges of one clip.

    Args:
        objects: in the order of the node axis.
        edges: in any order; several at the same time are allowed, also on the same object.
        length: frames of the clip ``t``.
    """

    objects: tuple[GraphObject, ...]
    edges: tuple[ActionEdge, ...]
    length: int
