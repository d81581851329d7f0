"""What evaluations leave behind, looked at from outside."""

from collections.abc import Iterator, Mapping
from typing import Any


def numbers(written: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Every number of a ``metrics.json`` by its metric or question, with the hash of its protocol."""
    for content in written.values():
        for row in content if isinstance(content, list) else ():
            if "question" in row:
                yield row["question"], row.get("protocol")
            for name, value in row.get("metrics", {}).items():
                if value is not None:
                    yield name, row["protocols"].get(name)


def protocols_missing(written: Mapping[str, Any]) -> list[str]:
    """Numbers of a ``metrics.json`` of which it does not say in full how they were measured."""
    told = written["protocols"]
    return [name for name, key in numbers(written) if key not in told or told[key]["name"] != name]
