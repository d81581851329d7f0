"""The documentation's examples of a new dataset and a new model work as printed."""

import importlib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import ROOT

from mutoscope.config.assembly import load_model
from mutoscope.config.targets import locate
from mutoscope.data import registry
from mutoscope.data.motion.toy_motion import ToyMotion
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
PAGE = ROOT / "docs" / "extending.md"
HERE = ("trainer=cpu", "trainer.max_steps=3", "trainer.progress=false", "metrics=none", "callbacks=none")


def examples() -> dict[str, str]:
    """Code blocks of the page whose first line is a comment with a file's name."""
    blocks = re.findall(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The examples as an installed package of somebody else."""
    files = examples()
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    # what an installer makes of pyproject.toml
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    about = tmp_path / "examples-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 0.1\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()) for group, entries in points.items()]
    (about / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    # forget the examples
    for name in [name for name in sys.modules if name.split(".")[0] in ("dancers", "simple_gan")]:
        del sys.modules[name]
    registry._classes.pop("dancers", None)
    importlib.invalidate_caches()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Toy people in the layout that the example reads."""
    toy = ToyMotion(clips_per_class=4, val_clips_per_class=2, classes=["walk", "turn"], length=40)
    folder = tmp_path / "recordings"
    folder.mkdir()
    for split in ("train", "val"):
        clips = toy.clips(split)  # type: ignore[arg-type]
        np.savez(
            folder / f"{split}.npz", joints=clips.joints, start=clips.start, frames=clips.frames, label=clips.label
        )
    return folder


def test_the_readme_shows_what_is_tested_here() -> None:
    text = PAGE.read_text()
    assert "## Add a dataset" in text
    assert "## Add a model" in text
    assert {"dancers.py", "pyproject.toml", "simple_gan/networks.py", "simple_gan/module.py"} <= set(examples())


def test_a_dataset_in_one_file(compose: Compose, plugin: Path, recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"dataset\.root"):
        compose("dataset=dancers")
    settings = [f"dataset.root={recordings}", "dataset.batch_size=4", "dataset.length=16"]
    narrow = ["model.widths=[16,16,8,8,8]", "model.latent=8"]
    config = compose("dataset=dancers", *settings, *narrow, *HERE)
    train(config, tmp_path / "run")
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert checkpoint["mutoscope"]["iterations"] == 3
    assert checkpoint["mutoscope"]["info"]["name"] == "dancers"
    assert checkpoint["mutoscope"]["info"]["classes"] == ["waltz", "tango"]
    with pytest.raises(ConfigError, match=r"dataset\.lenght is not a setting of Dancers; did you mean 'length'"):
        train(compose("dataset=dancers", *settings, "+dataset.lenght=3"), tmp_path / "other")


def test_a_model_in_one_folder(compose: Compose, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = ["dataset.clips_per_class=4", "dataset.val_clips_per_class=2", "dataset.length=16", "dataset.batch_size=4"]
    command = (f"hydra.searchpath=[file://{plugin}/conf]", "model=simple_gan", "model.width=32", *people, *HERE)
    with pytest.raises(ConfigError, match=r"list another package in the environment variable MUTOSCOPE_PLUGINS"):
        train(compose(*command), tmp_path / "run")
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "simple_gan")
    run_dir = tmp_path / "run"
    train(compose(*command), run_dir)
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    model, _ = load_model(checkpoint)
    assert (type(model).__name__, model.iterations) == ("SimpleGAN", 3)
    # resuming, averaging, exporting and generating come with the base class
    train(compose(*command, "trainer.max_steps=5", "ckpt=last"), run_dir)
    train(compose(*command, "trainer.max_steps=5"), tmp_path / "straight")
    resumed, straight = (read_checkpoint(d / "checkpoints" / "last.ckpt") for d in (run_dir, tmp_path / "straight"))
    torch.testing.assert_close(resumed["state_dict"], straight["state_dict"], rtol=0, atol=0)
    folder = export(checkpoint, tmp_path / "exported")
    monkeypatch.setattr("mutoscope.kinds.motion.generated.save_motion_gallery", lambda *args, **kwargs: [])
    made = []
    for number, source in enumerate((checkpoint, folder)):
        config = compose("checkpoint=x", "n=1", "label=wave", "accelerator=cpu", verb="generate")
        made.append(generate(config | {"checkpoint": str(source), "out": str(tmp_path / str(number))}).fake)
    assert made[0].shape == (1, 16, 25, 3)
    assert torch.equal(*made)
    assert os.environ["MUTOSCOPE_PLUGINS"] == "simple_gan"


def test_plug_ins_are_found_where_one_types(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # as an installed command, whose own folder stands first on the path
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(plugin), str(Path.cwd()))])
    importlib.invalidate_caches()
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "simple_gan, dancers")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ConfigError, match=r"MUTOSCOPE_PLUGINS names 'simple_gan', .* neither installed nor in .*else"):
        registry.datamodules()
    monkeypatch.chdir(plugin)
    assert "dancers" in registry.datamodules()
    assert locate("simple_gan.module.SimpleGAN", "model").__name__ == "SimpleGAN"
    (plugin / "broken.py").write_text("import nothing_of_this_name")
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "broken")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        registry.datamodules()
