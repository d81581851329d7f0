"""Files in one piece, and what is said when the disk refuses."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.formats.checkpoints import save_atomically
from mutoscope.runtime.errors import sentence_of
from mutoscope.runtime.files import refusal_sentence, replacing, storage_refusal


def refuse(number: int, filename: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), filename) if filename else OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, r"The disk is full \(\d+ MiB are free in .*\): .*kept could not be written. Free some space"),
        (errno.EDQUOT, "The disk is full .*kept could not be written"),
        (errno.EROFS, "kept lies on a file system that is read-only"),
        (errno.EACCES, "kept: permission denied"),
    ],
)
def test_a_refusal_names_the_file_and_the_old_one_stays(tmp_path: Path, number: int, said: str) -> None:
    path = tmp_path / "kept"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise refuse(number)

    with pytest.raises(OSError, match="kept") as caught:
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert re.search(said, sentence_of(caught.value))


def test_a_refusal_behind_another_error_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    save_atomically({"a": 1}, path)
    real = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            raise refuse(errno.ENOSPC)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Full(real(self, *a, **k)))
    with pytest.raises(OSError, match=r"last\.ckpt"):
        save_atomically({"a": torch.zeros(9)}, path)
    assert torch.load(path, weights_only=True) == {"a": 1}


def test_rust_says_only_a_number() -> None:
    found = storage_refusal(ValueError("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert found is not None
    assert refusal_sentence(found).startswith("The disk is full: a file could not be written.")


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    assert storage_refusal(FileNotFoundError(errno.ENOENT, "no", "x")) is None
    with pytest.raises(ValueError, match="mine"), replacing(tmp_path / "x"):
        raise ValueError("mine")
    with pytest.raises(OSError, match="elsewhere"), replacing(tmp_path / "x"):
        raise refuse(errno.EACCES, "elsewhere")
