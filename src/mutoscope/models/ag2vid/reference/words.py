"""The words of checkpoints of the original AG2Vid: what the rows of its tables mean, and the frames it was trained on.

Ids of actions and relations are the same in every run of one data set (spec section 1), but the categories of
Something-Something are those of a file that was never published, so a checkpoint's own list is the only one there is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mutoscope.structures.vocabulary import IMAGE, ActionVocabulary, something_vocabulary


def category_names(words: Any, rows: int) -> tuple[str, ...] | None:
    """The names of a table's rows, if a checkpoint's vocabulary lists them.

    The form of the vocabulary is not taken for granted: any list, map from name to id or map from id to name inside it
    will do that has one name per row and begins with the image.

    Args:
        words: ``vocab`` of a checkpoint or of its ``run_args.json``, which writes ids as text.
        rows: of the table of categories.
    """
    for names in _listings(words):
        if len(names) == rows and len(set(names)) == rows and names[0] == IMAGE:
            return names
    return None


def _listings(words: Any) -> Iterator[tuple[str, ...]]:
    """Everything in nested dictionaries and lists that reads as names by id."""
    if isinstance(words, Mapping):
        ids = {_number(value): key for key, value in words.items()}
        names = {_number(key): value for key, value in words.items()}
        for by_id in (ids, names):
            if by_id.keys() == set(range(len(words))) and all(isinstance(name, str) for name in by_id.values()):
                yield tuple(by_id[i] for i in range(len(words)))
        words = list(words.values())
    if isinstance(words, list | tuple) and words:
        if all(isinstance(name, str) for name in words):
            yield tuple(words)
        for inner in words:
            yield from _listings(inner)


def _number(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isdecimal() else None
    return value if isinstance(value, int) else None


def one_attribute_vocabulary(rows: int, names: tuple[str, ...] | None) -> ActionVocabulary:
    """The vocabulary of Something-Something with a checkpoint's categories in its order.

    Args:
        rows: of the table of categories, the image included.
        names: of all rows; where they are unknown, categories are numbered.
    """
    found = names or (IMAGE, *(f"category_{i}" for i in range(1, rows)))
    return replace(something_vocabulary(found[1:]), attributes=(("object", found),))


def frame_side(arguments: Mapping[str, Any]) -> int | None:
    """Side of the square frames that a run's flags tell, ``image_size`` as numbers or as text."""
    size = arguments.get("image_size")
    if isinstance(size, str):
        size = size.split(",")
    if not isinstance(size, list | tuple):
        size = [size]
    sides = {_number(side.strip() if isinstance(side, str) else side) for side in size}
    return sides.pop() if len(sides) == 1 else None
