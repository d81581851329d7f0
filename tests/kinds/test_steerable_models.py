"""A second model of video that can be steered, in somebody else's package: it is measured, asked and shown alike."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import yaml
from written_videos import write_folder

from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
MODEL = '''
    """Bright things are agents; they are cut out and pasted elsewhere."""

    import torch
    from torch import Tensor, nn

    from mutoscope.models.generative import GenerativeModule
    from mutoscope.models.steerable import Decoded, Layers, SteerableVideo
    from mutoscope.structures import VideoSample


    def bright(frames):
        return (frames.float().mean(-3, keepdim=True) > 200).float()


    class Pasting:
        def __init__(self, images):
            self.frame, self.mask = images, bright(images)
            self.behind = images.float().flatten(2).median(-1).values[..., None, None].expand(images.shape)

        @property
        def agent(self):
            return (self.frame * self.mask).to(torch.uint8)

        def advance(self, actions, shifts, camera):
            moved = [
                torch.cat([frame.float() * mask, mask]).roll((round(float(y)), round(float(x))), (1, 2))
                for frame, mask, (x, y) in zip(self.frame, self.mask, shifts)
            ]
            agents, self.mask = torch.stack(moved)[:, :3], torch.stack(moved)[:, 3:]
            self.frame = (agents + (1 - self.mask) * self.behind).round().to(torch.uint8)
            return self.frame


    class Paster(SteerableVideo):
        def __init__(self, info, *, optimizers, seed: int = 0):
            super().__init__(info, optimizers=optimizers, seed=seed)
            self.nothing = nn.Linear(1, 1)
            self.ready()

        local_actions = 1

        @property
        def generator(self):
            return self.nothing

        def networks(self):
            return {"nothing": [self.nothing]}

        def training_step(self, batch, batch_idx):
            self.latest["loss/nothing"] = self.update("nothing", [lambda: self.nothing.weight.square().sum()])

        def decode(self, frames):
            b, t, _, h, w = frames.shape
            masks = bright(frames)
            places = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")[::-1])
            weight = masks.sum((-3, -2, -1)).clamp(min=1)[..., None]
            centres = (masks * places).sum((-2, -1)) / weight
            steps = centres.diff(dim=1)
            return Decoded(steps, torch.zeros_like(steps), torch.zeros(b, t - 1, dtype=torch.long),
                           torch.ones(b, t - 1, 1), masks)

        def start(self, image):
            return Pasting(image if image.ndim == 4 else image[None])

        def layers(self, images):
            session = Pasting(images)
            return Layers(session.mask, session.agent, session.behind.to(torch.uint8))

        def generate(self, batch, *, unroll="autoregressive", seed=0):
            found = self.decode(batch.frames)
            played = self.play(batch, found.actions, found.shifts, found.background_shifts)
            return VideoSample(**{**vars(played), "real": batch.frames, "masks": found.masks})


    class Still(GenerativeModule):
        """Makes video, but cannot be steered."""

        takes = "video"

        def __init__(self, info, *, optimizers, seed: int = 0):
            super().__init__(info, optimizers=optimizers, seed=seed)
            self.nothing = nn.Linear(1, 1)
            self.ready()

        generator = property(lambda self: self.nothing)
        networks = Paster.networks
        training_step = Paster.training_step

        def generate(self, batch, *, seed=0):
            raise AssertionError
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("pasters")
    (folder / "pasters.py").write_text(dedent(MODEL))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("MUTOSCOPE_PLUGINS", "pasters")
        importlib.invalidate_caches()
        yield folder
    sys.modules.pop("pasters", None)


@pytest.fixture(scope="module")
def run(package: Path, compose: Compose) -> Callable[[str], Path]:
    """``run("Paster")``: its run directory after an iteration."""
    root = write_folder(package / "videos", videos=3)

    def trained(name: str) -> Path:
        words = ("dataset=video_folder", f"dataset.root={root}", "dataset.size=[48,64]", "dataset.length=5")
        config = compose(
            "model=glass", *words, "trainer=cpu", "trainer.threads=1", "trainer.progress=false", "trainer.max_steps=1",
            "measure.every_n_steps=1", "callbacks=none" if name == "Still" else "callbacks.media.every_n_steps=1",
            *(["metrics=none"] if name == "Still" else []),
        )  # fmt: skip
        adam = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}
        config["model"] = {"_target_": f"pasters.{name}", "optimizers": {"nothing": adam}}
        train(config, package / name)
        return package / name

    return trained


def test_another_model_is_measured_asked_and_shown(
    run: Callable[[str], Path], compose: Compose, tmp_path: Path, package: Path
) -> None:
    folder = run("Paster")
    assert {"clip0", "shifts", "actions", "layers"} <= {path.stem for path in (folder / "media").rglob("*.*")}
    evaluate(compose(f"checkpoint={folder}", f"out={tmp_path / 'found'}", "metrics=video", verb="evaluate"), {})
    found = json.loads((tmp_path / "found" / "metrics.json").read_text())
    rows = {row["name"]: row["metrics"] for row in found["rows"]}
    assert rows["autoregressive"]["frame_error"] < 0.3 * rows["copy first frame"]["frame_error"]
    assert found["control"][0]["metrics"]["shift within 45 degrees"] == 1
    generate(
        compose(f"checkpoint={folder}", f"decode={package / 'videos' / '0.mp4'}", f"out={tmp_path}", verb="generate")
    )
    steps = yaml.safe_load((tmp_path / "actions.yaml").read_text())["actions"]
    # the square goes two pixels of eighty to the right in a frame, and is cropped and resized to 64
    assert np.mean([step["shift"] for step in steps], axis=0) == pytest.approx([1.6, 0], abs=0.2)
    words = (f"checkpoint={folder}", "clip=0", "show=[grid,layers]", f"out={tmp_path / 'figures'}")
    generate(compose(*words, verb="generate"))
    assert (tmp_path / "figures" / "grid.mp4").is_file()


def test_a_model_that_cannot_be_steered_is_said(run: Callable[[str], Path], compose: Compose, tmp_path: Path) -> None:
    words = (f"checkpoint={run('Still')}", "clip=0", f"out={tmp_path / 'out'}")
    with pytest.raises(ConfigError, match=r"Still makes video, but cannot be steered; .*steerable\.SteerableVideo"):
        generate(compose(*words, verb="generate"))
