"""The words of action graphs: which attributes objects have, which actions and spatial predicates exist."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IMAGE, IN_IMAGE, PADDING = "__image__", "__in_image__", "__padding__"


@dataclass(frozen=True)
class ActionVocabulary:
    """Names with their ids, which are rows of embedding tables (AG2Vid, section 3; released ids).

    The id of a name is its position. Names that begin with two underscores mean nothing to people: ``__image__`` is
    the value of the image node, ``__padding__`` (the last id) that of edges which are not active.

    Args:
        attributes: ``(attribute, values)`` in the order of the attribute axis, value 0 being ``__image__``.
        actions: names of actions; people write them without leading underscores (``pick_place`` for ``_pick_place``).
        predicates: names of spatial relations.
        destinations: actions whose edges carry the place where the subject's box ends.
        image_node: whether every clip has a last node that stands for the whole image (CATER) or relations to the
            image point at the last object (Something-Something: the hand).

    Raises:
        ValueError: a name twice, or a destination for an unknown action.
    """

    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    actions: tuple[str, ...]
    predicates: tuple[str, ...]
    destinations: tuple[str, ...] = ()
    image_node: bool = True

    def __post_init__(self) -> None:
        for what, names in (*self.attributes, ("actions", self.actions), ("predicates", self.predicates)):
            if len(set(names)) != len(names):
                raise ValueError(f"The vocabulary names one of its {what} twice: {', '.join(names)}.")
        if unknown := set(self.destinations) - set(self.actions):
            raise ValueError(f"'{unknown.pop()}' has a destination but is no action; actions: {self.actions}.")

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.attributes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of every attribute, ``__image__`` included: rows of the embedding tables."""
        return tuple(len(values) for _, values in self.attributes)

    @property
    def action_names(self) -> tuple[str, ...]:
        """What people may ask for, as they write it, in id order."""
        return tuple(name.strip("_") for name in self.actions if not name.startswith("__"))

    @property
    def in_image(self) -> int:
        """Id of the predicate that ties objects to the image."""
        return self.predicates.index(IN_IMAGE)

    @property
    def padding_action(self) -> int:
        return self.actions.index(PADDING)

    def action(self, name: str) -> int:
        """Id of an action; raises ``ValueError`` naming the closest known one."""
        for candidate in (name, f"_{name}"):
            if candidate in self.actions and not candidate.startswith("__"):
                return self.actions.index(candidate)
        raise ValueError(unknown_name("action", name, self.action_names))

    def value(self, attribute: str, name: str) -> int:
        """Id of an attribute's value; raises ``ValueError`` naming the closest known one."""
        if attribute not in self.attribute_names:
            raise ValueError(unknown_name("attribute", attribute, self.attribute_names))
        values = dict(self.attributes)[attribute]
        if name not in values or name == IMAGE:
            raise ValueError(unknown_name(attribute, name, [v for v in values if v != IMAGE]))
        return values.index(name)

    def takes_destination(self, action: int) -> bool:
        return self.actions[action] in self.destinations

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers (what checkpoints may hold)."""
        return {
            "attributes": [[name, list(values)] for name, values in self.attributes],
            "actions": list(self.actions),
            "predicates": list(self.predicates),
            "destinations": list(self.destinations),
            "image_node": self.image_node,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ActionVocabulary":
        return cls(
            attributes=tuple((name, tuple(names)) for name, names in values["attributes"]),
            actions=tuple(values["actions"]),
            predicates=tuple(values["predicates"]),
            destinations=tuple(values["destinations"]),
            image_node=values["image_node"],
        )


def unknown_name(what: str, name: str, known: Sequence[str]) -> str:
    """The sentence that says that there is no such name, which ones there are, and which is the closest."""
    name = name if len(name) <= 60 else f"{name[:57]}..."
    hint = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    meant = f" Did you mean '{hint[0]}'?" if hint else ""
    return f"There is no {what} '{name}'; known: {', '.join(known)}.{meant}"


_RELATIONS = (IN_IMAGE, "right", "above", "below", "left", "surrounding", "inside")

#: CATER: five shapes, nine colours, two materials, three sizes; slide, contain, rotate, pick-place.
CATER_VOCABULARY = ActionVocabulary(
    attributes=(
        ("shape", (IMAGE, "cube", "sphere", "cylinder", "spl", "cone")),
        ("color", (IMAGE, "gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow", "gold")),
        ("material", (IMAGE, "rubber", "metal")),
        ("size", (IMAGE, "small", "large", "medium")),
    ),
    actions=(IN_IMAGE, "_no_op", "_slide", "_contain", "_rotate", "_pick_place", PADDING),
    predicates=(*_RELATIONS, PADDING),
    destinations=("_slide", "_pick_place"),
)


def something_vocabulary(categories: Sequence[str]) -> ActionVocabulary:
    """Something-Something V2: eight actions, one attribute with the given categories, ``hand`` among them."""
    return ActionVocabulary(
        attributes=(("object", (IMAGE, *sorted(categories))),),
        actions=("put", "up", "right", "down", "left", "cover", "uncover", "take", PADDING),
        predicates=(*_RELATIONS, "cover", PADDING),
        image_node=False,
    )
