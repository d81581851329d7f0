"""Exports of models of video: the same frames as the checkpoint, and settings that survive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.config.assembly import load_model
from mutoscope.config.nodes import build, build_dataset
from mutoscope.formats.checkpoints import save_atomically
from mutoscope.kinds.action_graph.card import example_graph
from mutoscope.kinds.action_graph.generation import ask
from mutoscope.models.generative import GenerativeModule
from mutoscope.verbs.export import run_export

Compose = Callable[..., dict[str, Any]]

SMALL = (
    "model=ag2vid",
    "dataset=cater",
    "dataset.size=32",
    "dataset.length=4",
    "model.width=8",
    "model.graph_hidden=16",
    "model.frames.flow.width=4",
    "model.frames.flow.blocks=1",
    "model.frames.spade.width=2",
    "model.frames.spade.hidden=4",
    "model.discriminator.width=4",
    "model.frames.perceptual=discriminator",
)


@pytest.mark.parametrize(
    "settings",
    [
        ("model.ema_half_life=10", "model.frames.channels_last=true"),
        (
            "model.layout.name=rnn",
            "model.layout.rivals=[gcn]",
            "model.discriminator=null",
            "model.frames.perceptual=none",
        ),
        (
            "model.layout.name=copy",
            "model.frames.flow.multiplier=3",
            "model.frames.attribute_width=5",
            "model.frames.flow.halvings=2",
        ),
    ],
    ids=["averaged", "rivals", "other sizes"],
)
def test_an_export_draws_what_the_checkpoint_draws(compose: Compose, tmp_path: Path, settings: tuple[str, ...]) -> None:
    config = compose(*SMALL, *settings)
    info = build_dataset(config["dataset"]).info
    torch.manual_seed(0)
    model: GenerativeModule = build(config["model"], "model", info=info)
    if model.ema is not None:
        for parameter in model.ema.network.parameters():
            parameter.data.mul_(0.5)
    model.iterations, model.samples_seen = 7, 14
    checkpoint: dict[str, Any] = {"mutoscope": {"config": config}, "state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    path, folder = tmp_path / "last.ckpt", tmp_path / "model"
    save_atomically(checkpoint, path)

    assert run_export(compose(f"checkpoint={path}", f"out={folder}", verb="export"), {}) == folder
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    exported, _ = load_model(folder)
    assert (exported.ema, exported.iterations, exported.info) == (None, 7, info)
    frame = torch.randint(256, (3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    batch = ask(example_graph(info.need_vocabulary(), 4), frame, info, 4, "example")
    ours, theirs = (m.generate(batch, seed=3) for m in (exported, load_model(path)[0]))
    assert torch.equal(ours.boxes, theirs.boxes)
    assert torch.equal(ours.fake, theirs.fake)
    assert ours.fake[:, 1:].float().std() > 0
    card = (folder / "README.md").read_text()
    assert "7 mini-batches, 14 clips seen" in card
    assert ("averaged over training" in card) == (model.ema is not None)
    assert "first_frame=frame.png" in card
