"""Checkpoints: plain, complete, atomic, and refused with a sentence when they are not what they should be."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mutoscope.config.assembly import load_model
from mutoscope.formats import checkpoints as module
from mutoscope.formats.checkpoints import CheckpointError, checkpoint_info, read_checkpoint, save_atomically
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.export import export


@pytest.fixture(scope="module")
def path(trained: Path) -> Path:
    return trained / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def exported(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(path, tmp_path_factory.mktemp("export") / "model")


def test_a_checkpoint_is_plain_and_says_everything_about_itself(path: Path) -> None:
    data = torch.load(path, weights_only=True)
    assert data["mutoscope"]["config"]["model"]["latent"] == 8
    info = checkpoint_info(data)
    assert info.classes == ("walk", "wave", "kick")
    assert info.need_normaliser().scale[0] > 0
    assert info.need_skeleton().num_joints == 25
    assert data["mutoscope"]["iterations"] == 6
    assert data["mutoscope"]["samples_seen"] == 48


def test_a_model_needs_nothing_but_its_checkpoint(path: Path, tmp_path: Path) -> None:
    alone = tmp_path / "moved.ckpt"
    shutil.copy(path, alone)
    model, config = load_model(alone)
    assert (model.iterations, model.samples_seen, model.training) == (6, 48, False)
    assert config.dataset["name"] == "toy_motion"
    assert model.generate(torch.tensor([0, 2])).fake.shape == (2, 16, 25, 3)


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    save_atomically({"number": 1}, path)

    def crash(data: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.torch, "save", crash)
        with pytest.raises(OSError, match="No space left"):
            save_atomically({"number": 2}, path)
    assert torch.load(path, weights_only=True) == {"number": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    save_atomically({"number": 3}, path)
    assert torch.load(path, weights_only=True) == {"number": 3}


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_files_that_are_no_checkpoints_are_refused(path: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.ckpt"
    torn.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"torn\.ckpt' cannot be read as a checkpoint \(torn"):
        read_checkpoint(torn)
    trap, mark = tmp_path / "trap.ckpt", tmp_path / "mark"
    torch.save({"mutoscope": Trap(mark)}, trap)
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Trap(mark)))
    for name in ("trap.ckpt", "bare.ckpt"):
        with pytest.raises(CheckpointError, match="holding objects that would have to be unpickled"):
            read_checkpoint(tmp_path / name)
    assert not mark.exists()
    foreign = tmp_path / "foreign.ckpt"
    for content in ({"state_dict": {}}, [1, 2], {"mutoscope": {"iterations": 3}}):
        torch.save(content, foreign)
        with pytest.raises(CheckpointError, match=r"foreign\.ckpt is not a checkpoint of Mutoscope"):
            read_checkpoint(foreign)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint at .*absent\.ckpt"):
        read_checkpoint(tmp_path / "absent.ckpt")


def test_folders_are_told_apart(trained: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"is a folder without config\.json .* name the checkpoint inside, .*ckpt"
    ):
        load_model(trained)
    with pytest.raises(CheckpointError, match="name a checkpoint or a folder made by export"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="is a folder, expected a checkpoint to train on from"):
        read_checkpoint(exported)


@pytest.mark.parametrize(
    "target", ["torch.hub.load", "mutoscope.runtime.provenance.subprocess.run", "mutoscope.verbs.train.write_config"]
)
def test_a_strangers_checkpoint_cannot_call_functions(path: Path, tmp_path: Path, target: str) -> None:
    data = torch.load(path, weights_only=True)
    data["mutoscope"]["config"]["model"]["_target_"] = target
    torch.save(data, tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError, match=f"model._target_ is '{target}', .*but only classes of"):
        load_model(tmp_path / "evil.ckpt")
    data["mutoscope"]["config"]["model"]["_target_"] = "mutoscope.models.kinetic_gan.module.KineticGAN"
    data["mutoscope"]["config"]["model"]["optimizers"]["critic"]["_target_"] = target
    torch.save(data, tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError, match=f"model.optimizers.critic._target_ is '{target}'"):
        load_model(tmp_path / "evil.ckpt")


def test_only_generative_models_are_loaded(path: Path, tmp_path: Path) -> None:
    data = torch.load(path, weights_only=True)
    for target, message in (
        ("mutoscope.models.recognizer.module.Recognizer", "holds a Recognizer, which generates nothing"),
        ("torch.nn.Linear", "'torch.nn.Linear', which is no model"),
    ):
        data["mutoscope"]["config"]["model"]["_target_"] = target
        torch.save(data, tmp_path / "other.ckpt")
        with pytest.raises(CheckpointError, match=message):
            load_model(tmp_path / "other.ckpt")


def test_an_exported_model_generates_bit_by_bit_what_the_checkpoint_does(path: Path, exported: Path) -> None:
    original, _ = load_model(path)
    model, config = load_model(exported)
    assert original.ema is not None
    assert model.ema is None
    assert config.dataset["name"] == "toy_motion"
    labels = torch.tensor([0, 1, 2, 0])
    for options in ({}, {"truncation": 0.9}, {"length": 24}):
        ours, theirs = (m.generate(labels, seed=5, **options).fake for m in (model, original))
        assert torch.equal(ours, theirs)
    # the average is what was exported, and it differs from the network that was trained
    assert not torch.equal(original.generator.embedding.weight, original.averaged.embedding.weight)
    assert (model.iterations, model.samples_seen, model.info) == (6, 48, original.info)


def test_an_export_is_readable_without_this_program(exported: Path) -> None:
    assert sorted(p.name for p in exported.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert [p.name for p in exported.parent.iterdir()] == [exported.name]
    config = json.loads((exported / "config.json").read_text())
    assert config["model"]["_target_"].endswith("KineticGAN")
    assert config["info"]["classes"] == ["walk", "wave", "kick"]
    assert {"torch", "mutoscope"} <= set(config["versions"])
    weights = load_file(exported / "model.safetensors")
    assert {name.split(".")[0] for name in weights} == {"_generator", "critic"}
    card = (exported / "README.md").read_text()
    for fact in ("toy_motion", "ntu25", "0. walk", "6 mini-batches, 48 clips", "checkpoint=model", "ms.load"):
        assert fact in card
    assert "mocap.cs.cmu.edu" not in card


def test_an_export_of_mocap_thanks_its_makers_and_names_no_folder_of_this_machine(path: Path, tmp_path: Path) -> None:
    data = torch.load(path, weights_only=True)
    data["mutoscope"]["info"]["name"] = "cmu_mocap"
    data["mutoscope"]["config"]["dataset"] |= {"name": "cmu_mocap", "root": "/home/someone/mocap", "index": "index.csv"}
    torch.save(data, tmp_path / "mocap.ckpt")
    folder = export(tmp_path / "mocap.ckpt", tmp_path / "sub" / "model")
    assert "mocap.cs.cmu.edu" in (folder / "README.md").read_text()
    dataset = json.loads((folder / "config.json").read_text())["dataset"]
    assert (dataset["root"], dataset["index"]) == (None, "index.csv")


def test_damaged_exports_are_refused(exported: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(exported, tmp_path / name))

    torn = copy("torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read .* damaged"):
        load_model(torn)
    garbled = copy("garbled")
    (garbled / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        load_model(garbled)
    (garbled / "config.json").write_text('{"format": "diffusers"}')
    with pytest.raises(CheckpointError, match="has the format 'diffusers', expected 'mutoscope-1'"):
        load_model(garbled)
    (garbled / "config.json").write_text('{"format": "mutoscope-1"}')
    with pytest.raises(CheckpointError, match="lacks 'model'"):
        load_model(garbled)
    narrow = copy("narrow")
    config = json.loads((narrow / "config.json").read_text())
    config["model"]["latent"] = 4
    (narrow / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"narrow: .* in the model, but of shape .* in its weights"):
        load_model(narrow)


def test_an_export_replaces_nothing_and_leaves_nothing_half_done(
    path: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="exists already; remove it or choose another out="):
        export(path, exported)

    def crash(*args: Any, **kwargs: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("mutoscope.verbs.export.save_file", crash)
    with pytest.raises(OSError, match="No space left"):
        export(path, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
