import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mutoscope.formats.backbones import backbone_weights
from mutoscope.formats.weights import MissingWeightsError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of torchvision's cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


STATE = {"features.0.weight": torch.arange(4.0), "classifier.0.weight": torch.ones(2)}


def with_digest(folder: Path, stem: str) -> Path:
    plain = folder / "plain.pth"
    torch.save(STATE, plain)
    return plain.rename(folder / f"{stem}-{hashlib.sha256(plain.read_bytes()).hexdigest()[:8]}.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_named_file_is_read_and_the_classifier_left_out(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    found = backbone_weights("vgg19", path)
    assert list(found) == ["features.0.weight"]
    torch.testing.assert_close(found["features.0.weight"], STATE["features.0.weight"])


def test_the_cache_of_torchvision_is_looked_into(cache: Path) -> None:
    with_digest(cache, "squeezenet1_1")
    assert list(backbone_weights("squeezenet1_1")) == ["features.0.weight"]
    with pytest.raises(MissingWeightsError, match=r"vgg19-dcbb9e9d\.pth"):
        backbone_weights("vgg19")


def test_a_missing_file_is_told_with_both_places(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError) as error:
        backbone_weights("vgg19", tmp_path / "absent.pth")
    assert str(tmp_path / "absent.pth") in str(error.value)
    assert str(cache) in str(error.value)


def test_a_damaged_file_is_refused_by_the_digest_in_its_name(tmp_path: Path) -> None:
    path = with_digest(tmp_path, "vgg19")
    assert backbone_weights("vgg19", path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="does not match the digest"):
        backbone_weights("vgg19", path)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02csome.module\nThing\n."])
def test_files_of_another_kind_are_refused_with_their_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"odd\.pth"):
        backbone_weights("vgg19", path)


def test_weights_without_features_are_refused(tmp_path: Path) -> None:
    torch.save({"layer": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth holds no tensors called 'features\.\*'"):
        backbone_weights("alexnet", tmp_path / "other.pth")
    with pytest.raises(ValueError, match="known backbones: alexnet"):
        backbone_weights("resnet50")
