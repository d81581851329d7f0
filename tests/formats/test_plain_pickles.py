"""Pickles of strangers: plain data come back as Python's own reader gives them, nothing else does, and nothing runs."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import damaged, refusal

from mutoscope.formats import plain_pickles
from mutoscope.formats.plain_pickles import PlainPickleError, parse_plain_pickle, read_plain_pickle

PLAIN: dict[str, Any] = {
    "global": [0, 1, -1, 255, 256, 65536, -(2**31), 2**70, -(2**70)],
    "local": [],
    "shifts": [(0.25, -1e300), (float("inf"), 2)],
    "bg_shifts": [(1,), (), (1, 2, 3), (1, 2, 3, 4)],
    "text": ["", "aé", "x" * 300],
    "truth": [True, False, None],
    3: {"a": {}, 2.5: [[]]},
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_come_back(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "a.pkl", pickle.dumps(PLAIN, protocol=protocol))
    found = read_plain_pickle(path)
    assert found == PLAIN
    assert repr(found) == repr(PLAIN)


def test_what_occurs_twice_is_read_twice(tmp_path: Path) -> None:
    pair, name = (0.5, 1), "shifts"
    value = [pair, pair, {name: [name, pair]}]
    for protocol in (0, 2, 4):
        assert read_plain_pickle(write(tmp_path / "a.pkl", pickle.dumps(value, protocol=protocol))) == value


class Runs:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_called(tmp_path: Path, protocol: int) -> None:
    for value in (Runs(tmp_path / "made"), [1, Runs(tmp_path / "made")], {"local": Runs(tmp_path / "made")}):
        path = write(tmp_path / "a.pkl", pickle.dumps(value, protocol=protocol))
        with pytest.raises(PlainPickleError, match=r"a\.pkl, byte \d+: it asks for (STACK_)?GLOBAL.* may run anything"):
            read_plain_pickle(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value", [np.float64(1), np.arange(3), {1, 2}, Path("a"), 1j, print], ids=lambda value: type(value).__name__
)
def test_other_objects_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(PlainPickleError, match="expected lists, dictionaries, numbers and texts alone"):
        read_plain_pickle(write(tmp_path / "a.pkl", pickle.dumps([value])))


def test_bombs_are_refused_before_they_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_pickles, "_MOST_VALUES", 100_000)
    bomb: Any = [0] * 10
    for _ in range(40):
        bomb = [bomb] * 10
    circle: list[Any] = []
    circle.append(circle)
    for value in (bomb, circle):
        with pytest.raises(PlainPickleError, match=r"holds more than|deeper than"):
            read_plain_pickle(write(tmp_path / "a.pkl", pickle.dumps(value)))
    # a text that says that it has gigabytes
    with pytest.raises(PlainPickleError, match="no pickle that is whole"):
        read_plain_pickle(write(tmp_path / "a.pkl", b"\x80\x04\x8d\xff\xff\xff\xff\xff\x00\x00\x00a."))
    monkeypatch.setattr(plain_pickles, "_LIMIT", 100)
    with pytest.raises(PlainPickleError, match="files of this kind have 100 at most"):
        read_plain_pickle(write(tmp_path / "a.pkl", pickle.dumps(PLAIN)))


@pytest.mark.parametrize(
    "data",
    [b"", b".", b"N", b"NN.", b"(.", b"a.", b"]a.", b"Na.", b"NNa.", b"(NNs.", b"]NNs.", b"(Nu.", b"e.", b"0.",
     b"h\x05.", b"g1\n.", b"\x94.", b"(t", b"I99x\n.", b"}](]s.", b"\x80\x09N."],
    ids=repr,
)  # fmt: skip
def test_broken_programs_are_said(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "a.pkl", data)
    if data == b"\x80\x09N.":
        # versions change nothing about instructions that are known
        assert read_plain_pickle(path) is None
        return
    with pytest.raises(PlainPickleError, match=r"a\.pkl, byte \d+: "):
        read_plain_pickle(path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_damaged_pickles_raise_nothing_else(tmp_path: Path, protocol: int) -> None:
    whole = pickle.dumps({"global": [1, 2, 3] * 5, "shifts": [(0.5, 1.0)] * 9, "local": [7] * 9}, protocol=protocol)
    path = tmp_path / "a.pkl"
    for data in damaged(whole, 600, seed=protocol):
        error, _ = refusal(PlainPickleError, lambda data=data: parse_plain_pickle(data, path))
        assert error is None or str(path) in str(error)


def test_random_programs_raise_nothing_else_and_build_plain_data() -> None:
    """Of all instructions, in any order."""
    rng = np.random.default_rng(0)
    codes = np.frombuffer(
        b"().0123FINJKMLVXR]TU[]aescboiqrpghjltd}u\x80\x81\x85\x86\x87\x88\x89\x8a\x93\x94\x95", np.uint8
    )

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(map(plain, value)) and all(map(plain, value.values()))
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return value is None or type(value) in (bool, int, float, str)

    read = 0
    for _ in range(3000):
        program = rng.choice(codes, int(rng.integers(1, 12))).tobytes() + b"."
        error, value = refusal(PlainPickleError, lambda program=program: parse_plain_pickle(program, Path("a.pkl")))
        if error is None:
            read += 1
            assert plain(value)
    assert read > 20
