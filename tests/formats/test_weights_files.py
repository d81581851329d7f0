"""Published weights on a machine: where they are looked for, how they come, what is said where they do not."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from loopback import Server, serving
from torchvision import models

from mutoscope.cli.commands import run_command
from mutoscope.evaluators.published import PretrainedLPIPS
from mutoscope.formats import weights_manifest
from mutoscope.formats.weights import MissingWeightsError, fetching, find_weights
from mutoscope.formats.weights_manifest import MANIFEST


@pytest.fixture
def content() -> bytes:
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(models.squeezenet1_1().state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture
def server(content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """SqueezeNet comes from here, with random weights and their digest."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("MUTOSCOPE_WEIGHTS", raising=False)
    with serving({"/s": content}) as running:
        digest = hashlib.sha256(content).hexdigest()
        entry = replace(
            MANIFEST["squeezenet1_1"], file=f"squeezenet1_1-{digest[:8]}.pth", url=f"{running.url}/s", sha256=digest
        )
        monkeypatch.setitem(weights_manifest.MANIFEST, "squeezenet1_1", entry)
        yield running


def test_nothing_is_fetched_unless_it_was_asked_for(server: Server) -> None:
    with pytest.raises(MissingWeightsError, match=rf"weights=fetch.*mutoscope weights fetch.*{server.url}/s"):
        PretrainedLPIPS("squeeze")
    assert server.asked == []
    with fetching(True):
        metric = PretrainedLPIPS("squeeze")
    assert len(server.asked) == 1
    # and now it lies here
    a, b = torch.randint(0, 256, (2, 1, 1, 3, 64, 64), dtype=torch.uint8)
    metric.update(a, b)
    PretrainedLPIPS("squeeze")
    assert len(server.asked) == 1


def test_a_named_file_is_never_replaced_by_another(server: Server) -> None:
    with fetching(True), pytest.raises(MissingWeightsError, match=r"There is no file mine\.pth") as error:
        find_weights("squeezenet1_1", "mine.pth")
    assert error.value.named
    assert server.asked == []


def test_own_folder_comes_before_torchs(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    with fetching(True):
        cached = find_weights("squeezenet1_1")
    assert cached.parent == tmp_path / "torch" / "hub" / "checkpoints"
    monkeypatch.setenv("MUTOSCOPE_WEIGHTS", str(tmp_path / "own"))
    assert find_weights("squeezenet1_1") == cached
    (tmp_path / "own").mkdir()
    mine = tmp_path / "own" / cached.name
    mine.write_bytes(content)
    assert find_weights("squeezenet1_1") == mine
    assert find_weights("squeezenet1_1", cached) == cached


def test_the_command_fetches_verifies_and_imports(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    own = tmp_path / "own"
    monkeypatch.setenv("MUTOSCOPE_WEIGHTS", str(own))
    assert run_command("weights", ["verify", "squeezenet1_1"]) == 1
    assert run_command("weights", ["verify"]) == 0
    assert "None of the published networks is here" in capsys.readouterr().out
    server.cut = [1000]
    assert run_command("weights", ["fetch", "squeezenet1_1"]) == 0
    assert run_command("weights", ["verify"]) == 0
    assert "as it should be" in capsys.readouterr().out
    (file,) = own.glob("*.pth")
    file.write_bytes(content[:-1] + b"x")
    assert run_command("weights", ["verify"]) == 1
    assert "damaged" in capsys.readouterr().out
    # a file that was brought by hand, under a name of its own
    (tmp_path / "mine.pth").write_bytes(content)
    assert run_command("weights", ["import", str(tmp_path / "mine.pth")]) == 1
    assert "say which they are" in capsys.readouterr().err
    assert run_command("weights", ["import", str(tmp_path / "mine.pth"), "squeezenet1_1"]) == 0
    assert file.read_bytes() == content
    (tmp_path / "mine.pth").write_bytes(b"something else")
    assert run_command("weights", ["import", str(tmp_path / "mine.pth"), "squeezenet1_1"]) == 1
    assert file.read_bytes() == content
    assert run_command("weights", ["list"]) == 0
    assert "ImageNet" in capsys.readouterr().out
    assert run_command("weights", ["fetch", "resnet"]) == 1
    assert "known ones: alexnet" in capsys.readouterr().err


def test_the_manifest_agrees_with_itself_and_with_torchvision() -> None:
    theirs = {
        "alexnet": models.AlexNet_Weights.IMAGENET1K_V1,
        "squeezenet1_1": models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
        "vgg16": models.VGG16_Weights.IMAGENET1K_V1,
        "vgg19": models.VGG19_Weights.IMAGENET1K_V1,
    }
    for name, published in theirs.items():
        assert MANIFEST[name].url == published.url
        assert MANIFEST[name].about == pytest.approx(published.meta["_file_size"], abs=0.06)
    for entry in MANIFEST.values():
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.used_by
        # torch's way of naming files: digests and names agree
        stem, _, digits = entry.file.removesuffix(".pth").rpartition("-")
        if stem and entry.file.endswith(".pth"):
            assert entry.sha256.startswith(digits)
        if entry.size is not None and entry.about is not None:
            assert entry.size / 2**20 == pytest.approx(entry.about, abs=0.06)
