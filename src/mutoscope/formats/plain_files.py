"""JSON and YAML that strangers wrote: read with limits on size, depth and repetition; errors name the place.

A few hundred bytes of YAML can stand for gigabytes (aliases of aliases, merges of merges), and a few kilobytes of
brackets end Python's stack. What is parsed here is counted as if every alias were written out, before any of it is
made; nothing is ever resolved, built or run.
"""

import json
import os
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

#: of one file
MAX_BYTES = 16 * 2**20
#: of YAML, whose parser takes seconds per megabyte
MAX_YAML_BYTES = 2**20
#: values in values
MAX_DEPTH = 50
#: values of a YAML file with its aliases written out, and of a JSON file
MAX_VALUES = 1_000_000
MAX_YAML_VALUES = 100_000

#: of the key "<<", which takes over the fields of another mapping
_MERGE = "tag:yaml.org,2002:merge"


class PlainFileError(ValueError):
    """Text that cannot be read as plain data; the message names its file, the place and what is wrong."""


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
        PlainFileError: if there is no such file, it is a folder, pipe or device, larger than ``limit`` or cannot be
            read.
    """
    try:
        # a pipe would keep one waiting for ever
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PlainFileError(f"{path} is {file_kind(found)}, expected a file.")
        if found.st_size > limit:
            raise PlainFileError(f"{path} has {found.st_size:,} bytes; files of this kind have {limit:,} at most.")
        return path.read_bytes()
    except FileNotFoundError:
        raise PlainFileError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, PlainFileError):
            raise
        raise PlainFileError(f"{path} cannot be read: {_reason(error)}.") from error


def file_kind(found: os.stat_result) -> str:
    """What something is that is no regular file."""
    kinds = {
        "a folder": stat.S_ISDIR,
        "a pipe": stat.S_ISFIFO,
        "a socket": stat.S_ISSOCK,
        "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    }
    return next((name for name, is_kind in kinds.items() if is_kind(found.st_mode)), "no regular file")


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def parse_json(text: str, what: str, *, max_values: int = MAX_VALUES) -> Any:
    """What a JSON text says.

    Args:
        text: the text.
        what: its file, for errors.
        max_values: limit of what it holds.

    Raises:
        PlainFileError: for broken text, a key given twice, numbers of thousands of digits, or anything over the limits.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise PlainFileError(f"{what}: '{_brief(twice)}' is given twice; every name needs to be unique.")
        return found

    try:
        value = json.loads(text, object_pairs_hook=once)
    except PlainFileError:
        raise
    except json.JSONDecodeError as error:
        raise PlainFileError(f"{what}, line {error.lineno}: no JSON, {error.msg}.") from None
    except RecursionError:
        raise PlainFileError(f"{what}: values in values in values, deeper than {MAX_DEPTH}.") from None
    except ValueError as error:
        raise PlainFileError(f"{what}: {_reason(error)}.") from None
    check_extent(value, what, max_values=max_values)
    return value


def parse_yaml(text: str, what: str, *, max_values: int = MAX_YAML_VALUES) -> Any:
    """What a YAML text says: plain data, every key once; see :func:`parse_json`."""
    if len(text) > MAX_YAML_BYTES:
        raise PlainFileError(f"{what} has {len(text):,} characters; YAML has {MAX_YAML_BYTES:,} at most here.")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _written_out(node, what, max_values)
        value = loader.construct_document(node)
        check_extent(value, what, max_values=max_values)
        return value
    except PlainFileError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise PlainFileError(f"{what}{line}: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise PlainFileError(f"{what}: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise PlainFileError(f"{what}: values in values in values, deeper than {MAX_DEPTH}.") from None
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError, IndexError) as error:
        # e.g. dates that do not exist and numbers without digits
        raise PlainFileError(f"{what}: a value that means nothing, {_reason(error)}.") from None
    finally:
        if loader is not None:
            loader.dispose()


def check_extent(value: Any, what: str, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
    """Whether plain data stay within limits, counted as if everything that occurs twice were there twice.

    Raises:
        PlainFileError: if not, also for data that contain themselves.
    """
    count = 0
    waiting = [(value, 0)]
    while waiting:
        here, depth = waiting.pop()
        count += 1
        if depth > max_depth:
            raise PlainFileError(f"{what}: values in values in values, deeper than {max_depth}.")
        if isinstance(here, dict):
            waiting.extend((inner, depth + 1) for inner in here.values())
        elif isinstance(here, list | tuple | set | frozenset):
            waiting.extend((inner, depth + 1) for inner in here)
        if count + len(waiting) > max_values:
            raise PlainFileError(f"{what} holds more than {max_values:,} values.")


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses depth, and a key given twice instead of keeping the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"values in values, deeper than {MAX_DEPTH}", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, mark = self.construct_object(key_node, deep=True), key_node.start_mark
            # keys that are lists are refused below
            if isinstance(key, str | int | float | bool | None):
                if key in found:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"'{_brief(key)}' is given twice; every name needs to be unique",
                        key_node.start_mark,
                    )
                found.add(key)
            else:
                raise yaml.constructor.ConstructorError(None, None, "a name that is no text or number", mark)
        return super().construct_mapping(node, deep)


def _written_out(node: yaml.Node, what: str, limit: int) -> None:
    """Refuse what would be more than ``limit`` values, were every alias written out; merges are aliases too."""
    sizes: dict[int, int] = {}

    def size(here: yaml.Node, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise PlainFileError(f"{what}, line {here.start_mark.line + 1}: values in values, deeper than {MAX_DEPTH}.")
        if id(here) not in sizes:
            inner: list[yaml.Node] = []
            if isinstance(here, yaml.SequenceNode):
                inner = here.value
            elif isinstance(here, yaml.MappingNode):
                inner = [part for pair in here.value for part in pair]
            sizes[id(here)] = 1 + sum(size(part, depth + 1) for part in inner)
        if sizes[id(here)] > limit:
            line = here.start_mark.line + 1
            raise PlainFileError(f"{what}, line {line}: aliases of aliases that stand for more than {limit:,} values.")
        return sizes[id(here)]

    size(node, 0)


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
