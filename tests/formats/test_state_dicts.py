"""State dictionaries of other programs: read whole, or refused with a sentence."""

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mutoscope.formats.state_dicts import named_tensors, read_plain, read_state_dict

STATE = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.count": torch.tensor(3)}


class _Stranger:
    pass


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_tensors_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file(STATE, path) if path.suffix == ".safetensors" else torch.save(STATE, path)
    torch.testing.assert_close(read_state_dict(path), STATE, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Stranger(), "cannot be read as a file of plain tensors .*would have to be unpickled"),
        ({"whole": torch.nn.Linear(1, 1)}, "cannot be read as a file of plain tensors"),
        ({"a": 1}, r"weights\.pt' holds no plain state dictionary; expected names with tensors"),
        ({0: torch.ones(1)}, "holds no plain state dictionary"),
        ([STATE], "holds no plain state dictionary"),
    ],
    ids=["object", "module", "numbers", "numbered", "list"],
)
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        read_state_dict(path)


def test_absent_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint '.*none\.pt'"):
        read_plain(tmp_path / "none.pt")


@pytest.mark.parametrize("name", ["weights.pt", "old.pt", "weights.safetensors"])
def test_damaged_files_are_refused_however_reading_them_fails(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=name == "weights.pt")
    content = path.read_bytes()
    for kept in random.Random(0).sample(range(len(content)), 40):
        path.write_bytes(content[:kept])
        with pytest.raises(ValueError, match="cannot be read as a file of plain tensors"):
            read_plain(path)


def test_a_part_is_named_in_the_error() -> None:
    assert named_tensors(STATE, "'model'") == STATE
    with pytest.raises(ValueError, match="'model' holds no plain"):
        named_tensors(None, "'model'")
