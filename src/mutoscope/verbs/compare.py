"""``compare``: the numbers of several evaluations in one table, if they were measured alike."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutoscope.formats.plain_files import shown
from mutoscope.kinds.tables import Row, Table, as_markdown, for_terminal
from mutoscope.metrics.protocol import Protocol, differences
from mutoscope.render.page.tables import Column
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError

#: fields in which evaluations of different seeds may differ and still be compared
_FREE = ("seed",)


@dataclass(frozen=True)
class Measured:
    """The rows of one ``metrics.json`` that may stand in a table with others.

    Args:
        name: of the evaluation.
        path: of the file.
        rows: as written there.
        protocols: by hash.
    """

    name: str
    path: Path
    rows: Sequence[Mapping[str, Any]]
    protocols: Mapping[str, Protocol]


def compare(paths: Sequence[str | Path], metrics: Sequence[str] = (), out: str | Path | None = None) -> Table:
    """One table of what several evaluations found, printed, and written as Markdown where that is asked for.

    Args:
        paths: ``metrics.json`` files, or folders that hold one, of evaluations or of runs.
        metrics: names of those to compare; all that every evaluation has by default.
        out: a ``.md`` file.

    Returns:
        The table; rows are named after folders, and after rows where an evaluation has several models.

    Raises:
        ConfigError: if a file is none of an evaluation, no metric is in all of them, or two were measured in different
            ways; the sentence names every field that differs.
    """
    if len(paths) < 2:
        raise ConfigError(
            "compare needs two evaluations or more: mutoscope compare A B, folders or metrics.json files."
        )
    found = [_read(Path(path)) for path in paths]
    names = _names(found)
    shared = [key for key in found[0].rows[0]["metrics"] if all(key in one.rows[0]["metrics"] for one in found)]
    if unknown := [key for key in metrics if key not in shared]:
        raise ConfigError(f"'{unknown[0]}' is not in all of them; these are: {', '.join(shared) or 'none'}.")
    chosen = [key for key in shared if not metrics or key in metrics]
    if not chosen:
        raise ConfigError(f"No metric is in all of {', '.join(str(one.path) for one in found)}.")
    for key in chosen:
        _check_alike(key, found)
    rows = [
        _row(f"{name}" if len(one.rows) == 1 else f"{name}, {row['name']}", row, chosen)
        for name, one in zip(names, found, strict=True)
        for row in one.rows
    ]
    better = {key: one for evaluation in found for key, one in _better(evaluation.path).items()}
    columns = [Column(key, better=better.get(key), digits=3) for key in chosen]
    table = Table("Compared, measured alike", rows, columns)
    say(for_terminal(table))
    if out is not None:
        Path(out).write_text(as_markdown(table), encoding="utf-8")
        say(f"Wrote {out}.")
    return table


def _read(path: Path) -> Measured:
    places = [path, path / "metrics.json", path / "evaluation" / "metrics.json"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise ConfigError(f"There is no metrics.json in {path}; evaluate it first.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        protocols = {key: Protocol.from_dict(values) for key, values in content["protocols"].items()}
        rows = [row for row in content["rows"] if row["role"] == "model"]
        # whatever else the file lacks is found out here
        lacking = [key for row in rows for key in ("name", "what", "clips", "metrics", "protocols") if key not in row]
        if lacking:
            raise KeyError(lacking[0])
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ConfigError(
            f"{file} is no metrics.json of an evaluation ({shown(str(error))}); evaluate again."
        ) from error
    if edited := [key for key, protocol in protocols.items() if protocol.hash != key]:
        raise ConfigError(f"{file} was edited: the protocol {edited[0]} does not have that hash; evaluate again.")
    if not rows:
        raise ConfigError(f"{file} has no row of a model to compare.")
    return Measured(_called(file), file, rows, protocols)


def _called(file: Path) -> str:
    folder = file.resolve().parent
    return folder.parent.name if folder.name == "evaluation" else folder.name


def _names(found: Sequence[Measured]) -> list[str]:
    names = [one.name for one in found]
    return [name if names.count(name) == 1 else str(one.path.parent) for name, one in zip(names, found, strict=True)]


def _check_alike(key: str, found: Sequence[Measured]) -> None:
    """Whether a metric was measured in one way everywhere; absent values have no way."""
    known = [
        (one, one.protocols[row["protocols"][key]])
        for one in found
        for row in one.rows
        if row["metrics"].get(key) is not None and key in row["protocols"]
    ]
    for one, protocol in known[1:]:
        first, theirs = known[0]
        unlike = [text for text in differences(theirs, protocol) if text.partition(" ")[0] not in _FREE]
        if unlike:
            raise ConfigError(
                f"'{key}' of {first.path} and {one.path} cannot be compared: the protocols differ in "
                f"{', '.join(unlike)}. Measure both in the same way, or leave it out: metrics to compare are named by "
                "--metrics."
            )


def _row(name: str, row: Mapping[str, Any], chosen: Sequence[str]) -> Row:
    values = {key: row["metrics"].get(key) for key in chosen}
    absent = {key: text for key, text in row.get("absent", {}).items() if key in values}
    deviations = {key: value for key, value in row.get("deviations", {}).items() if key in values}
    return Row(name, "model", str(row["what"]), int(row["clips"]), values, absent=absent, deviations=deviations)


def _better(path: Path) -> dict[str, Any]:
    """Which way metrics are better, as the table beside the file says."""
    table = path.with_name("table.csv")
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {row["metric"]: row["better"] or None for row in csv.DictReader(file) if "better" in row}
