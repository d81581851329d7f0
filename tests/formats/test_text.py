"""Text as it comes from editors, spreadsheets and other systems."""

import os
import pickle
from pathlib import Path

import pytest

from mutoscope.formats.sources import FileError, check_file, is_number, is_whole, vectors
from mutoscope.formats.text import TextError, read_table, read_text

WORDS = "file,label\na.amc,schläft\nb.amc,läuft\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"], ids=str
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_one_text_in_all_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "a.csv"
    mark = b"\x00\x00\xfe\xff" if encoding == "utf-32-be" else b""
    path.write_bytes(mark + WORDS.replace("\n", end).encode(encoding))
    assert read_text(path) == WORDS
    assert [row.cells for row in read_table(path, ("file", "label"))] == [
        {"file": "a.amc", "label": "schläft"},
        {"file": "b.amc", "label": "läuft"},
    ]


def test_another_encoding_is_named_with_its_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(WORDS.encode("latin-1"))
    with pytest.raises(TextError) as caught:
        read_text(path)
    said = str(caught.value)
    assert said.startswith(f"{path}, line 2: byte 21 is 0xe4")
    assert "'a.amc,schläft'" in said
    assert "iconv -f WINDOWS-1252 -t UTF-8 a.csv > new_a.csv" in said
    assert read_text(path, fallback="latin-1") == WORDS
    path.write_bytes(b"name\n\x81\xff\x00\n")
    with pytest.raises(TextError, match=r"line 2: byte 5 is 0x81, which is no UTF-8; the file may be damaged"):
        read_text(path)
    path.write_bytes("abc".encode("utf-16")[:-1])
    with pytest.raises(TextError, match=r"begins as UTF-16-LE, but at byte 6 it is not .* cut off"):
        read_text(path)
    path.write_bytes(b"one\ntwo\0\n")
    with pytest.raises(TextError, match="line 2: it holds a zero byte"):
        read_text(path)


@pytest.mark.parametrize(
    "text",
    [
        "id,words,n\n1,\"['a', 'b']\",2\n\n2,c,\n",
        "id, words, n\n1, \"['a', 'b']\", 2\n2, c\n",
        "id;words;n\n1;['a', 'b'];2\n2;c;;;\n",
        "id\twords\tn\n1\t['a', 'b']\t2\n2\tc\t\n",
        "sep=;\r\nid;words;n\r\n1;['a', 'b'];2\r\n2;c;\r\n",
        "\n ,id,words,n\n0,1,\" ['a', 'b'] \",2\n1,2,c,\n",
    ],
    ids=["commas", "spaces", "semicolons", "tabs", "spreadsheet", "unnamed"],
)
def test_tables_of_all_dialects(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    rows = read_table(path, ("id", "words"))
    assert [row.cells for row in rows] == [
        {"id": "1", "words": "['a', 'b']", "n": "2"},
        {"id": "2", "words": "c", "n": ""},
    ]
    lines = text.replace("\r", "").split("\n")
    assert all("12"[i] in lines[row.line - 1] for i, row in enumerate(rows))


def test_rows_are_counted_in_lines_also_where_cells_hold_some(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,n\n"a\nb",1\nc,2\n')
    assert [(row.line, row.cells["id"]) for row in read_table(path, ("id",))] == [(2, "a\nb"), (4, "c")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column id, n; expected a first line with id, n"),
        ("id,m\n1,2\n", "has no column n; .* found 'id,m'"),
        ("id,n,n\n1,2,3\n", "two columns n"),
        ("id,n\n1,2\n3,4,5\n", r"line 3: it has 3 cells, but there are 2 columns; put quotes"),
        ('id,n\n1,"2\n', "line 2: it is no table"),
        ('id,n\n1,2\n1,"2"3\n', "line 3: it is no table"),
        (f"id,n\n1,{'x' * 200_000}\n", "line 2: it is no table .field larger"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TextError, match=said) as caught:
        read_table(path, ("id", "n"))
    assert str(path) in str(caught.value)


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "it is a pipe, expected a file"), (".", "it is a folder")):
        with pytest.raises(TextError, match=said):
            read_text(tmp_path / name)
    with pytest.raises(TextError, match="it is a device"):
        read_text(Path("/dev/null"))
    with pytest.raises(TextError, match="cannot be looked at"):
        read_text(tmp_path / "a\0b")
    with pytest.raises(TextError, match="cannot be looked at"):
        read_text(tmp_path / ("x" * 5000))
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_text(tmp_path / "none")
    (tmp_path / "large").write_bytes(b"x" * 2001)
    with pytest.raises(FileError, match=r"it has 2 KB, but files of this kind have at most 2 KB"):
        check_file(tmp_path / "large", 2000)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(TextError("a.csv", "it is bad.", "line 3")))
    assert (str(error), error.path, error.place) == ("a.csv, line 3: it is bad.", "a.csv", "line 3")


def test_numbers() -> None:
    assert all(map(is_number, (0, -1.5, 1e9)))
    assert not any(map(is_number, (True, "1", None, float("nan"), float("inf"), -1.1e9, 10**400, [1])))
    assert is_whole(3.0)
    assert not is_whole(3.5)
    found = vectors([[1, 2.5], (3, 4)], 2)
    assert found is not None
    assert found.tolist() == [[1, 2.5], [3, 4]]
    for bad in ([[1]], [[1, "2"]], [[1, float("nan")]], [3], ["ab"], [[1, 10**400]]):
        assert vectors(bad, 2) is None
