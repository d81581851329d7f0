"""Halves of GLASS trained, frozen and exported apart, and what wandb shows meanwhile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mutoscope.cli.early import check_early
from mutoscope.config.assembly import load_model
from mutoscope.formats.checkpoints import CheckpointError, read_checkpoint
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.export import run_export
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
QUIET = ("metrics=none", "callbacks=none", "trainer.max_steps=2")


def weights(run_dir: Path, half: str) -> dict[str, torch.Tensor]:
    state = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")["state_dict"]
    return {name: x for name, x in state.items() if name.startswith(f"network.{half}.")}


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def half(compose: Compose, trained_glass: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Global motion analysis of the trained model, alone."""
    out = tmp_path_factory.mktemp("halves") / "gma"
    words = (f"checkpoint={trained_glass}", "part=global_motion", f"out={out}")
    assert run_export(compose(*words, verb="export"), {}) == out
    return out


def test_a_half_is_exported_alone(half: Path, trained_glass: Path) -> None:
    state = load_file(half / "model.safetensors")
    assert same(dict(state), weights(trained_glass, "global_motion"))
    assert json.loads((half / "config.json").read_text())["part"] == "global_motion"
    assert f"model.start_from.global_motion={half.name}" in (half / "README.md").read_text()
    with pytest.raises(CheckpointError, match=r"holds global_motion alone.*model\.start_from\.global_motion="):
        load_model(half)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_training_begins_with_a_half(
    small: Compose, half: Path, trained_glass: Path, tmp_path: Path, frozen: bool
) -> None:
    words = (*QUIET, f"model.start_from.global_motion={half}")
    train(small(*words, "model.trained=local_motion" if frozen else "model.pretraining=0"), tmp_path / "run")
    begun = weights(trained_glass, "global_motion")
    assert same(weights(tmp_path / "run", "global_motion"), begun) is frozen
    assert not same(weights(tmp_path / "run", "local_motion"), weights(trained_glass, "local_motion"))
    if frozen:
        # what a resumed run had learned wins, and the half need not be there any more
        gone = f"model.start_from.global_motion={tmp_path / 'gone'}"
        words = ("ckpt=last", "model.trained=local_motion", gone, "metrics=none", "callbacks=none")
        train(small(*words, "trainer.max_steps=3"), tmp_path / "run")
        assert same(weights(tmp_path / "run", "global_motion"), begun)


def test_halves_of_whole_runs_can_be_put_together(small: Compose, trained_glass: Path, tmp_path: Path) -> None:
    train(small(*QUIET, "seed=5", "model.pretraining=0"), tmp_path / "other")
    both = (f"model.start_from.global_motion={trained_glass}", f"model.start_from.local_motion={tmp_path / 'other'}")
    train(small(*QUIET, *both, "model.trained=global_motion"), tmp_path / "run")
    assert same(weights(tmp_path / "run", "local_motion"), weights(tmp_path / "other", "local_motion"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.start_from.local_motion={half}",), "holds no weights of local_motion"),
        (
            ("model.start_from.global_motion={half}", "model.global_motion.mask.stem=5"),
            r"is \[4, 3, 3, 3\], but \[5, 3",
        ),
        (("model.start_from.global_motion=/nowhere",), r"no model at /nowhere, which model\.start_from\.global_motion"),
    ],
)
def test_halves_that_do_not_fit_are_said(
    small: Compose, half: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises((ValueError, CheckpointError), match=message):
        train(small(*QUIET, *(word.format(half=half) for word in words)), tmp_path / "run")


def test_a_half_that_is_not_there_is_told_before_anything_is_imported(small: Compose, half: Path) -> None:
    gone = "model.start_from.local_motion=/nowhere"
    with pytest.raises(CheckpointError, match=r"no model at /nowhere, which model\.start_from\.local_motion names"):
        check_early(small(*QUIET, gone), "train")
    # a run that goes on has it already
    check_early(small(*QUIET, gone, "ckpt=last"), "train")
    check_early(small(*QUIET, f"model.start_from.global_motion={half}"), "train")


def test_parts_that_do_not_exist_are_said(compose: Compose, trained_glass: Path, tmp_path: Path) -> None:
    words = (f"checkpoint={trained_glass}", f"out={tmp_path / 'out'}", "part=masks")
    with pytest.raises(ConfigError, match="holds a Glass; its parts are global_motion, local_motion"):
        run_export(compose(*words, verb="export"), {})


@pytest.mark.slow
def test_wandb_shows_the_same_figures_every_time(
    small: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words = ("logger=[csv,wandb]", "metrics=none", "trainer.max_steps=2", "callbacks.media.every_n_steps=1")
    train(small(*words, "callbacks.media.per_class=2"), tmp_path / "run")
    wandb.teardown()
    media = [path.name for path in (tmp_path / "run" / "wandb").glob("offline-run-*/files/media/*/samples/*")]
    for panel in ("clip0", "clip1", "shifts", "actions", "overview", "layers"):
        # one at each of two iterations
        assert len([name for name in media if name.startswith(f"{panel}_")]) >= 2, (panel, media)
