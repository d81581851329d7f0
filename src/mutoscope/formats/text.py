"""Text that others wrote, with the marks, encodings, line ends and separators that their programs prefer."""

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mutoscope.formats.sources import FileError, check_file, reason

#: bytes that a text may have unless its reader says otherwise
TEXT_LIMIT = 256 * 2**20
#: marks at the beginning of a file; that of UTF-32 begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DELIMITERS = ",;\t"
_DELIMITERS_NAMED = "commas, semicolons or tabs"
#: so much of a file tells whether it is UTF-16 without a mark
_BEGINNING = 256


class TextError(FileError):
    """A text that cannot be read."""


class TableRow(NamedTuple):
    """A row of a table: the line it begins in, and its cells by column, without blanks around them."""

    line: int
    cells: dict[str, str]


def read_text(
    path: Path,
    *,
    limit: int = TEXT_LIMIT,
    fallback: str | None = None,
    error: type[FileError] = TextError,
    missing: str = "",
) -> str:
    """Read a text: UTF-8, with or without a mark at its beginning, or UTF-16 or UTF-32. Line ends become ``\\n``.

    Args:
        path: the file.
        limit: bytes it may have.
        fallback: how to read what is no UTF-8, as ``"latin-1"``: only for formats whose words and numbers are ASCII, so
            that comments alone can differ.
        error: what to raise.
        missing: the sentence where there is no such file.

    Raises:
        FileNotFoundError: if there is no such file.
        FileError: if it is no ordinary file, is too large, cannot be read, or is no text in these encodings; naming the
            line and how to convert it.
    """
    check_file(path, limit, error, missing)
    try:
        data = path.read_bytes()
    except (OSError, MemoryError) as problem:
        raise error(path, f"it cannot be read ({reason(problem)}); check who may read it and the disk.") from None
    return decoded(data, path, fallback=fallback, error=error)


def decoded(data: bytes, path: Path, *, fallback: str | None = None, error: type[FileError] = TextError) -> str:
    """Bytes of a file as text, see :func:`read_text`."""
    encoding, mark = next(((name, mark) for mark, name in _MARKS if data.startswith(mark)), (_guess(data), b""))
    data = data.removeprefix(mark)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as problem:
        if encoding != "utf-8":
            raise error(
                path,
                f"it begins as {encoding.upper()}, but at byte {problem.start + len(mark)} it is not "
                f"({problem.reason}); it may be cut off. Save it again as UTF-8.",
            ) from None
        if fallback is None:
            raise error(path, _foreign(data, problem, path), f"line {_line(data, problem.start)}") from None
        text = data.decode(fallback)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (at := text.find("\0")) >= 0:
        raise error(
            path, "it holds a zero byte, which no text does; is it another kind of file, or damaged?", _at(text, at)
        )
    return text


def read_table(
    path: Path,
    needed: Sequence[str],
    *,
    limit: int = TEXT_LIMIT,
    error: type[FileError] = TextError,
    missing: str = "",
) -> list[TableRow]:
    """Read a table with a line of column names: cells between commas, semicolons or tabs, whichever the file uses.

    Blanks around cells, empty lines, columns without a name and the line ``sep=;`` of spreadsheets are passed over.

    Args:
        path: the file.
        needed: columns that must be there; others may be.
        limit, error, missing: see :func:`read_text`.

    Raises:
        FileNotFoundError: if there is no such file.
        FileError: as :func:`read_text`; and if a column is missing or there twice, a quote never ends, or a row has
            more cells than there are columns; naming the line.
    """
    text = read_text(path, limit=limit, error=error, missing=missing)
    skipped = 0
    if re.match(r'"?sep=.', text):
        _, _, text = text.partition("\n")
        skipped = 1
    blank = len(text) - len(text.lstrip("\n"))
    first = text[blank:].partition("\n")[0]
    delimiter = max(_DELIMITERS, key=lambda one: len(set(_header(first, one)) & set(needed)))
    columns = _header(first, delimiter)
    if absent := [column for column in needed if column not in columns]:
        raise error(
            path,
            f"it has no column {', '.join(absent)}; expected a first line with {', '.join(needed)}, between "
            f"{_DELIMITERS_NAMED}, but found '{first[:120]}'.",
        )
    if twice := [column for i, column in enumerate(columns) if column and column in columns[:i]]:
        raise error(path, f"it has two columns {twice[0]}; remove one.")
    rows, line = [], 1
    # quoted cells may hold line ends, so the reader needs the text with them
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for entry in reader:
            cells, begins, line = [cell.strip() for cell in entry], line + skipped, reader.line_num + 1
            if not any(cells) or reader.line_num <= blank + 1:
                continue
            if any(cells[len(columns) :]):
                raise error(
                    path,
                    f"it has {len(cells)} cells, but there are {len(columns)} columns; put quotes around a cell that "
                    f"holds '{delimiter}'.",
                    f"line {begins}",
                )
            cells += [""] * (len(columns) - len(cells))
            rows.append(
                TableRow(begins, {column: cell for column, cell in zip(columns, cells, strict=False) if column})
            )
    except csv.Error as problem:
        raise error(
            path,
            f"it is no table ({reason(problem)}); expected cells between {_DELIMITERS_NAMED}, and quotes only "
            "around whole cells.",
            f"line {line + skipped}",
        ) from None
    return rows


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []


def _guess(data: bytes) -> str:
    """UTF-16 without a mark shows by the zeros beside the ASCII characters that every text we read begins with."""
    start = data[:_BEGINNING]
    if len(start) >= 4 and not start[1::2].strip(b"\0") and b"\0" not in start[::2]:
        return "utf-16-le"
    if len(start) >= 4 and not start[::2].strip(b"\0") and b"\0" not in start[1::2]:
        return "utf-16-be"
    return "utf-8"


def _foreign(data: bytes, problem: UnicodeDecodeError, path: Path) -> str:
    line = data[data.rfind(b"\n", 0, problem.start) + 1 :].split(b"\n")[0]
    found = f"byte {problem.start} is 0x{data[problem.start]:02x}, which is no UTF-8"
    try:
        shown = line.decode("cp1252").strip()
    except UnicodeDecodeError:
        shown = ""
    if not shown or not shown.isprintable():
        return f"{found}; the file may be damaged. Fetch it again, or save it as UTF-8."
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return (
        f"{found}. If '{shown}' is what it should say, convert it: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > new_{path.name}; otherwise save it as UTF-8."
    )


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _at(text: str, position: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1}"
