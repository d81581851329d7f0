"""Video from action graphs through the public face: graphs and pictures made in Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mutoscope as ms
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.kinds.action_graph.generated import GeneratedVideo
from mutoscope.runtime.errors import ConfigError


@pytest.fixture(scope="module")
def model(trained_ag2vid: Path) -> ms.TrainedModel:
    return ms.load(trained_ag2vid, accelerator="cpu")


@pytest.fixture(scope="module")
def clip(model: ms.TrainedModel) -> GeneratedVideo:
    made = model.generate(clip=0, seed=1)
    assert isinstance(made, GeneratedVideo)
    return made


def test_graphs_and_pictures_may_be_files_or_objects(
    model: ms.TrainedModel, clip: GeneratedVideo, tmp_path: Path
) -> None:
    clip.save(tmp_path / "clip")
    assert (tmp_path / "clip" / "clip0_compared.mp4").is_file()
    graph, frame = tmp_path / "clip" / "clip0.yaml", tmp_path / "clip" / "first_frame.png"
    with Image.open(frame) as opened:
        image = opened.convert("RGB")
    array = np.array(image)
    for picture in (str(frame), frame, image, array, torch.from_numpy(array).permute(2, 0, 1)):
        for prompt in (graph, read_action_graph(graph)):
            made = model.generate(ms.prompt(prompt, picture), seed=1)
            assert torch.equal(made.sample.fake, clip.sample.fake)
            assert torch.equal(made.sample.boxes, clip.sample.boxes)
    made = model.generate(ms.prompt([clip.variants[0].graph, graph], array, shift=[0, 2]))
    assert [variant.name for variant in made.variants] == [
        f"{name}_shift{shift}" for name in ("graph", "clip0") for shift in (0, 2)
    ]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"first_frame is a ndarray \[8, 8\], expected a picture"),
        (np.zeros((8, 8, 3), np.float32), r"first_frame is a ndarray \[8, 8, 3\], expected a picture"),
        (
            torch.zeros(8, 8, 3, dtype=torch.uint8),
            r"first_frame is a Tensor \[8, 8, 3\], expected .* tensor \[3, h, w\]",
        ),
        (3, "first_frame is a int , expected a picture"),
        ("nowhere.png", "There is no picture 'nowhere.png'"),
    ],
)
def test_what_is_no_picture_is_refused(
    model: ms.TrainedModel, clip: GeneratedVideo, picture: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        model.generate(ms.prompt(clip.variants[0].graph, picture))  # type: ignore[arg-type]


def test_settings_of_motion_are_refused(model: ms.TrainedModel) -> None:
    for name, value in {"truncation": 0.5, "lambdas": 3, "n": 0}.items():
        with pytest.raises(
            ConfigError, match=rf"{name}= is for models of skeleton motion, but .* its settings are prompt"
        ):
            model.generate(clip=0, **{name: value})
    for name, value in {"reference": "train", "truncation": 0.5, "beside": "x"}.items():
        with pytest.raises(ConfigError, match=rf"{name}= is for models of skeleton motion, but .* has no settings of"):
            ms.evaluate(model, **{name: value})
