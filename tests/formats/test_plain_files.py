"""Small files that stand for enormous things end in seconds, with a sentence that names file and place."""

import json
import os
import time
from pathlib import Path

import pytest
from patience import patience

from mutoscope.formats.plain_files import PlainFileError, check_extent, parse_json, parse_yaml, read_bytes


def aliases(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int, width: int) -> str:
    lines = ["m0: &m0 {k0: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * width)}], k{n}: 1}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aliases(9, 9), r"bomb\.yaml, line \d+: aliases of aliases that stand for more than"),
        (merges(9, 10), r"bomb\.yaml, line \d+: aliases of aliases that stand for more than"),
        ("a: &a [*a]", r"bomb\.yaml, line 1: .*(undefined|recursive)|deeper than"),
        ("[" * 100_000, r"bomb\.yaml, line 1: values in values, deeper than"),
        ("a: " * 20_000, r"bomb\.yaml, line 1: mapping values are not allowed here"),
        ("? [1, 2]\n: 3", r"bomb\.yaml, line 1: a name that is no text or number"),
        ("a: 1\nb: 2\na: 3", r"bomb\.yaml, line 3: 'a' is given twice"),
        ("a: 2001-99-99", r"bomb\.yaml: a value that means nothing"),
        ("a: !!python/object/apply:os.system [ls]", r"bomb\.yaml, line 1: could not determine a constructor"),
        ("a: !!int ''", r"bomb\.yaml: a value that means nothing"),
        ("9" * 5000, r"bomb\.yaml: a value that means nothing"),
        ("a: \x00", r"bomb\.yaml: .*special characters are not allowed"),
        ("- x\n" * 400_000, r"bomb\.yaml has 1,600,000 characters"),
    ],
)
def test_yaml_that_would_not_end_is_refused(text: str, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(PlainFileError, match=message):
        parse_yaml(text, "bomb.yaml")
    assert time.monotonic() - began < patience(5)


def test_aliases_and_merges_within_reason_mean_what_they_say() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]", "x") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    assert parse_yaml("a: &a {p: 1, q: 2}\nb: {<<: *a, q: 3}", "x")["b"] == {"p": 1, "q": 3}
    assert parse_yaml("", "x") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, r"bomb\.json: values in values in values"),
        ('{"a":' * 60 + "1" + "}" * 60, r"bomb\.json: values in values in values, deeper than 50"),
        ("9" * 5000, r"bomb\.json: Exceeds the limit"),
        ('{"a": 1,\n "a": 2}', r"bomb\.json: 'a' is given twice"),
        ('{"a": 1,\n "b" 2}', r"bomb\.json, line 2: no JSON"),
        ("", r"bomb\.json, line 1: no JSON"),
        (json.dumps([0] * 1_000_001), r"bomb\.json holds more than 1,000,000 values"),
    ],
)
def test_json_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlainFileError, match=message):
        parse_json(text, "bomb.json")


def test_what_contains_itself_or_repeats_itself_is_counted_in_full() -> None:
    own: list[object] = []
    own.append(own)
    with pytest.raises(PlainFileError, match="deeper than"):
        check_extent(own, "x")
    many: list[object] = [0] * 10
    for _ in range(20):
        many = [many] * 10
    with pytest.raises(PlainFileError, match="more than 1,000,000 values"):
        check_extent(many, "x")


def test_only_regular_files_of_some_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert read_bytes(tmp_path / "file") == b"12345"
    for name, message in {
        "absent": "There is no file",
        "": "is a folder, expected a file",
        "pipe": "is a pipe, expected a file",
        "loop": "cannot be read",
        "x" * 300: "cannot be read",
        "nul\0": "cannot be read",
    }.items():
        with pytest.raises(PlainFileError, match=message):
            read_bytes(tmp_path / name)
    with pytest.raises(PlainFileError, match="has 5 bytes; files of this kind have 4 at most"):
        read_bytes(tmp_path / "file", limit=4)
