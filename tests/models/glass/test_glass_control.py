"""What a trained model of video can be told and asked: decode, edit and replay, transfer, figures; wrong mixtures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from mutoscope.config.assembly import load_model
from mutoscope.formats.video import read_video, write_mp4
from mutoscope.kinds.video.steps import Steps
from mutoscope.models.glass.module import Glass
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.generate import generate

Compose = Callable[..., dict[str, Any]]
SIZE = (48, 64)


@pytest.fixture
def ask(compose: Compose, trained_glass: Path) -> Callable[..., None]:
    """``ask("image=a.png", ..., out=folder)``: what ``mutoscope generate`` does."""

    def asked(*words: str, out: Path) -> None:
        generate(compose(f"checkpoint={trained_glass}", f"out={out}", *words, verb="generate"))

    return asked


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"start{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A second at twice the model's rate."""
    frames = np.full((20, *SIZE, 3), 90, np.uint8)
    for t in range(20):
        frames[t, 10:30, t : t + 12] = 240
    return write_mp4(tmp_path / "source.mp4", frames, 20)


def test_a_video_is_decoded_edited_and_played(
    ask: Callable[..., None], trained_glass: Path, tmp_path: Path, source: Path, pictures: list[Path]
) -> None:
    out = tmp_path / "decoded"
    ask(f"decode={source}", out=out)
    steps = yaml.safe_load((out / "actions.yaml").read_text())["actions"]
    assert len(steps) == 9
    assert set(steps[0]) == {"shift", "action", "camera", "confidence"}
    assert all(1 / 3 - 1e-3 <= step["confidence"] <= 1 for step in steps)
    model = load_model(trained_glass / "checkpoints" / "last.ckpt")[0]
    assert isinstance(model, Glass)
    frames = torch.from_numpy(read_video(source)[0][::2].copy()).permute(0, 3, 1, 2)[None]
    found = model.decode(frames)
    assert [step["action"] for step in steps] == found.actions[0].tolist()
    np.testing.assert_allclose([step["shift"] for step in steps], found.shifts[0], atol=1e-3)
    shown, fps = read_video(out / "source_decoded.mp4")
    assert (len(shown), fps) == (10, 10)
    # edited: the first step goes elsewhere
    text = (out / "actions.yaml").read_text().replace(str(steps[0]["shift"]), "[9, -4]", 1)
    (out / "actions.yaml").write_text(text)
    ask(f"image={pictures[0]}", f"actions={out / 'actions.yaml'}", out=tmp_path / "played")
    again = yaml.safe_load((tmp_path / "played" / "actions.yaml").read_text())["actions"]
    assert again[0][:2] == [9, -4]
    assert again[1][:2] == steps[1]["shift"]


def test_a_motion_goes_to_other_pictures(
    ask: Callable[..., None], tmp_path: Path, source: Path, pictures: list[Path]
) -> None:
    listed = f"image=[{','.join(map(str, pictures))}]"
    ask(listed, f"transfer={source}", out=tmp_path / "still")
    ask(listed, f"transfer={source}", "camera=source", out=tmp_path / "moving")
    assert {path.name for path in (tmp_path / "still").glob("*.npy")} == {"start0.npy", "start1.npy"}
    still, moving = (
        yaml.safe_load((tmp_path / n / "actions.yaml").read_text())["actions"] for n in ("still", "moving")
    )
    assert all(step[3:] == [0, 0] for step in still)
    assert any(step[3:] != [0, 0] for step in moving)
    assert [step[:3] for step in still] == [step[:3] for step in moving]
    assert np.load(tmp_path / "still" / "start0.npy").shape == (10, *SIZE, 3)
    # the same as by hand
    ask(f"image={pictures[1]}", f"actions={tmp_path / 'still' / 'actions.yaml'}", out=tmp_path / "again")
    ours = np.load(tmp_path / "again" / "start1.npy").astype(int)
    assert np.abs(ours - np.load(tmp_path / "still" / "start1.npy")).max() <= 1


def test_long_clips_are_decoded_in_parts_as_at_once(trained_glass: Path) -> None:
    model = load_model(trained_glass / "checkpoints" / "last.ckpt")[0]
    assert isinstance(model, Glass)
    frames = torch.randint(256, (1, 36, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    parts, whole = model.decode(frames), model._decode(frames)
    for name in ("shifts", "background_shifts", "actions", "confidence", "masks"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))
    with pytest.raises(ValueError, match="one frame has no motion"):
        model.decode(frames[:, :1])


def test_figures_are_drawn(ask: Callable[..., None], tmp_path: Path, pictures: list[Path]) -> None:
    out = tmp_path / "figures"
    ask(f"image=[{','.join(map(str, pictures))}]", "show=[grid,gallery,composed,layers]", "steps=3", out=out)
    assert {path.name for path in out.iterdir()} == {
        *(f"{name}.{ending}" for name in ("grid", "gallery", "jump", "round") for ending in ("png", "mp4")),
        "layers.png",
    }
    assert len(read_video(out / "gallery.mp4")[0]) == 4
    # five shifts and three actions side by side, two pictures below each other
    shapes = {name: read_video(out / f"{name}.mp4")[0].shape[1:3] for name in ("grid", "gallery")}
    assert shapes["grid"][1] > shapes["gallery"][1]
    picture, given = np.asarray(Image.open(out / "layers.png")), np.asarray(Image.open(pictures[0]))
    # below its title, every pixel six times each way
    assert np.array_equal(picture[24 : 24 + 6 * SIZE[0] : 6, 6 : 6 + 6 * SIZE[1] : 6], given)
    ask("clip=0", "show=layers", out=tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["layers.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("decode=a.mp4", "image=x.png"), r"begins with nothing; leave out image, and play what it writes"),
        (("decode=a.mp4", "clip=0", "transfer=b.mp4"), "leave out clip, transfer"),
        (("decode=nowhere.mp4",), r"There is no video file at 'nowhere\.mp4'"),
        (("image=x.png", "actions=[[0,0,0]]", "transfer=b.mp4"), "actions= and transfer= ask for different things"),
        (("transfer=b.mp4",), "Give a picture to begin with"),
        (("clip=0", "camera=source"), "camera= is about transfer"),
        (("clip=0", "show=[grid,grid]"), "expected figures, each once"),
        (("clip=0", "show=pictures"), r"show is .*pictures.*, expected"),
        (("clip=0", "show=grid", "steps=0"), "steps is 0, expected 1 to 100"),
        (("image=nowhere.png", "show=grid"), r"There is no picture nowhere\.png"),
    ],
)
def test_mixtures_that_cannot_be_meant_are_said(
    ask: Callable[..., None], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises((ConfigError, FileNotFoundError), match=message):
        ask(*words, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions: {}", r"a\.yaml is no list of steps; .*in YAML a line each"),
        ("- {shift: [1, 2], action: 1, speed: 3}", r"Step 0 of .*a\.yaml names 'speed', expected shift, action"),
        ("- {action: 1}", r"Step 0 of .*a\.yaml is"),
        ("- [1, 2, 0]\n- {shift: [1, .inf], action: 1}", r"Step 1 of .*a\.yaml .* no finite numbers"),
        ("- [1, 2, 0.5]", r"asks for action 0\.5; the model has 0 to 2"),
        ("- [1, 2, true]", r"Step 0 of .*a\.yaml is"),
        ("- [1, 2, 1" + "0" * 400 + "]", "asks for action an enormous number"),
        ("- [1, 2, 0, 4]", r"Step 0 of .*a\.yaml is"),
        ("right,down,action\n8,0,2\n", r"a\.yaml is no list of steps"),
        ("- [8, 0, .nan]", "asks for action nan"),
        ("- [8, 0, '2']", r"a\.yaml is \[8, 0, '2'\]"),
        ("- [8, 0, 2]\n- [-129, 0, 1]", r"Step 1 of .*a\.yaml goes -129 pixels at once, .* frame of 96x128"),
        ("- [8, 97, 2]", "goes 97 pixels at once"),
        ("- {shift: [0, 0], action: 1, camera: [0, -1000000]}", r"goes -1e\+06 pixels at once"),
        ("{", r"actions: .*a\.yaml"),
    ],
)
def test_steps_that_cannot_be_meant_are_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        Steps.read(path, 3, (96, 128))


def test_steps_come_back_from_their_file(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    for confidence in (None, torch.rand(5, generator=rng)):
        steps = Steps(torch.randn(5, 2, generator=rng), torch.arange(5), torch.randn(5, 2, generator=rng), confidence)
        found = Steps.read(steps.write(tmp_path / "a.yaml"), 5)
        assert torch.equal(found.actions, steps.actions)
        torch.testing.assert_close(found.shifts, steps.shifts, atol=1e-3, rtol=0)
        torch.testing.assert_close(found.pans, steps.pans, atol=1e-3, rtol=0)
