"""``generate`` for video from action graphs: what may be asked for, what is left in the folder, and what is refused."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from mutoscope.cli import main as cli
from mutoscope.config.assembly import load_model
from mutoscope.formats.graph_files import read_action_graph, write_action_graph
from mutoscope.formats.video import read_video
from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import ActionGraphSample, GraphError
from mutoscope.verbs.generate import generate

Compose = Callable[..., dict[str, Any]]
Make = Callable[..., ActionGraphSample]
#: boxes, their tracks and the graph of one clip
FILES = ("{0}.mp4", "{0}_boxes.mp4", "{0}_graph.png", "{0}.yaml", "{0}_layout.npy")


@pytest.fixture(scope="module")
def ask(compose: Compose, trained_ag2vid: Path) -> Callable[..., ActionGraphSample]:
    """``generate`` from the small model, which is read once for all tests."""
    checkpoint = trained_ag2vid / "checkpoints" / "last.ckpt"
    defaults = compose("accelerator=cpu", f"checkpoint='{checkpoint}'", verb="generate")
    loaded = load_model(checkpoint)

    def asked(out: Path, *overrides: str, pictures: bool = False, **changes: Any) -> ActionGraphSample:
        typed = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mutoscope.kinds.task.load_model", lambda path: loaded)
            if not pictures:
                for drawn in ("save_variants", "save_comparison"):
                    patch.setattr(f"mutoscope.kinds.action_graph.generated.{drawn}", lambda *args, **kwargs: [])
            return generate({**defaults, **typed, **changes, "out": str(out)})  # type: ignore[dict-item,return-value]

    return asked


@pytest.fixture
def make(ask: Callable[..., ActionGraphSample], tmp_path: Path) -> Make:
    """``generate`` into ``tmp_path / "out"``, videos left out unless wanted."""
    return partial(ask, tmp_path / "out")


@pytest.fixture(scope="module")
def first(ask: Callable[..., ActionGraphSample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``clip=0`` leaves behind: a graph and a first frame to go on with."""
    out = tmp_path_factory.mktemp("generation") / "first"
    ask(out, "clip=0", "gif=true", pictures=True)
    return out


@pytest.fixture
def asked(first: Path, tmp_path: Path) -> dict[str, Any]:
    """A prompt of one's own: the clip's graph with another destination, and its first frame."""
    graph = read_action_graph(first / "clip0.yaml")
    elsewhere = [replace(edge, destination=(0.1, 0.6)) for edge in graph.edges if edge.action == "slide"]
    assert elsewhere
    write_action_graph(tmp_path / "graph.yaml", graph.with_edges(elsewhere))
    return {"prompt": str(tmp_path / "graph.yaml"), "first_frame": str(first / "first_frame.png")}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def files_of(*variants: str) -> set[str]:
    return {name.format(variant) for variant in variants for name in FILES}


def test_a_validation_clip_is_made_anew_beside_the_true_one(first: Path) -> None:
    assert names(first) == {*files_of("clip0"), "clip0.gif", "first_frame.png", "clip0_compared.mp4"}
    frames, fps = read_video(first / "clip0.mp4")
    assert fps == 8
    for other in ("clip0_boxes.mp4", "clip0_compared.mp4"):
        assert len(frames) == len(read_video(first / other)[0]) == 8
    graph = read_action_graph(first / "clip0.yaml")
    assert len(graph.objects) == 12
    layout = np.load(first / "clip0_layout.npy", allow_pickle=False)
    # one track per object, and the image's
    assert layout.shape == (13, 8, 4)
    assert np.isfinite(layout).all()
    boxes = np.array([thing.box for thing in graph.objects], dtype=np.float32)
    np.testing.assert_allclose(layout[:12, 0], boxes, atol=1e-6)


def test_the_written_graph_asks_for_the_same_clip_again(make: Make, first: Path) -> None:
    again = make(prompt=str(first / "clip0.yaml"), first_frame=str(first / "first_frame.png"))
    own = make("clip=0")
    assert torch.equal(again.fake, own.fake)
    assert torch.equal(again.fake[0, 0], picture(first / "first_frame.png"))


def picture(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_a_graph_of_ones_own_is_followed(make: Make, asked: dict[str, Any], tmp_path: Path) -> None:
    sample = make(pictures=True, **asked)
    assert names(tmp_path / "out") == {*files_of("graph"), "first_frame.png"}
    assert sample.fake.shape == (1, 8, 3, 32, 32)
    assert sample.fake.dtype == torch.uint8
    own = make("clip=0")
    # another destination, other boxes: the graph is read
    assert not torch.equal(sample.boxes, own.boxes)
    assert torch.equal(sample.boxes[:, 0], own.boxes[:, 0])


def test_prompts_and_shifts_are_shown_side_by_side(
    make: Make, asked: dict[str, Any], first: Path, tmp_path: Path
) -> None:
    asked["prompt"] = [asked["prompt"], str(first / "clip0.yaml")]
    sample = make("shift=[0,4]", pictures=True, **asked)
    variants = ["graph_shift0", "graph_shift4", "clip0_shift0", "clip0_shift4"]
    assert sample.asked.names == tuple(variants)
    assert names(tmp_path / "out") == {*files_of(*variants), "first_frame.png", "side_by_side.mp4"}
    frames, _ = read_video(tmp_path / "out" / "side_by_side.mp4")
    assert frames.shape[2] >= 4 * 256
    early, late = (read_action_graph(tmp_path / "out" / f"graph_shift{shift}.yaml") for shift in (0, 4))
    assert [edge.start + 4 for edge in early.edges] == pytest.approx([edge.start for edge in late.edges])
    assert not torch.equal(sample.fake[0], sample.fake[1])


def test_a_clip_is_the_same_whatever_is_asked_for_beside_it(
    make: Make, asked: dict[str, Any], first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [asked["prompt"], str(first / "clip0.yaml")]
    among = make("shift=[0,4]", **{**asked, "prompt": several}).fake[0]
    assert torch.equal(among, make("shift=[0,1,2,3]", **asked).fake[0])
    # torch rounds the convolution of one image and that of several differently: alone means one at a time on both sides
    monkeypatch.setitem(AG2Vid.generate.__kwdefaults__, "batch_size", 1)
    assert torch.equal(make("shift=[0,4]", **{**asked, "prompt": several}).fake[0], make(**asked).fake[0])


@pytest.mark.parametrize("length", [2, 5, 20])
def test_clips_may_have_another_length(make: Make, asked: dict[str, Any], tmp_path: Path, length: int) -> None:
    sample = make(f"length={length}", pictures=True, **asked)
    assert sample.fake.shape[1] == sample.boxes.shape[1] == length
    assert len(read_video(tmp_path / "out" / "graph.mp4")[0]) == length
    assert read_action_graph(tmp_path / "out" / "graph.yaml").length == length
    # actions keep their pace and frames come one after the other: what both lengths show is the same
    shorter, common = make(**asked), min(length, 8)
    torch.testing.assert_close(sample.boxes[:, :common], shorter.boxes[:, :common], rtol=1e-3, atol=1e-4)


def test_graphs_of_different_lengths_each_end_with_theirs(make: Make, asked: dict[str, Any], tmp_path: Path) -> None:
    graph = read_action_graph(asked["prompt"])
    write_action_graph(tmp_path / "longer.json", graph.with_length(12))
    sample = make(pictures=True, **{**asked, "prompt": [asked["prompt"], str(tmp_path / "longer.json")]})
    assert sample.fake.shape[:2] == (2, 12)
    assert len(read_video(tmp_path / "out" / "graph.mp4")[0]) == 8
    assert len(read_video(tmp_path / "out" / "longer.mp4")[0]) == 12
    for name, length in (("graph", 8), ("longer", 12)):
        layout = np.load(tmp_path / "out" / f"{name}_layout.npy", allow_pickle=False)
        assert layout.shape[1] == length, name


def test_pictures_of_any_size_begin_a_clip(make: Make, asked: dict[str, Any], tmp_path: Path) -> None:
    Image.new("L", (90, 50), 77).save(tmp_path / "grey.jpg")
    sample = make(**{**asked, "first_frame": str(tmp_path / "grey.jpg")})
    assert (sample.fake[0, 0].int() - 77).abs().max() <= 1


def test_what_is_asked_with_is_never_written_over(make: Make, asked: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    text = "# mine\n" + Path(asked["prompt"]).read_text()
    (out / "graph.yaml").write_text(text)
    Image.new("RGB", (100, 60), (10, 200, 30)).save(out / "first_frame.png")
    make("length=4", prompt=str(out / "graph.yaml"), first_frame=str(out / "first_frame.png"))
    assert (out / "graph.yaml").read_text() == text
    with Image.open(out / "first_frame.png") as image:
        assert image.size == (100, 60)
    assert (out / "graph_layout.npy").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], r"give prompt=graph\.yaml and first_frame=frame\.png, or clip=<number>"),
        (["first_frame=x.png"], r"give prompt=graph\.yaml"),
        (["prompt=x.yaml"], "Give one first frame"),
        (["prompt=x.yaml", "clip=0", "first_frame=x.png"], "Give one first frame"),
        (["clip=4"], "clip is 4; the validation split of 'cater' has clips 0 to 3"),
        (["clip=-1"], "clip is -1; the validation split"),
        (["clip=first"], "clip is 'first', expected a whole number. clip: instead of a picture: number of"),
        (["clip=true"], "clip is true, expected a whole number"),
        (["clip=0", "seed=first"], "seed is 'first', expected a whole number"),
        (["clip=0", "n=3"], "n= is for models of skeleton motion"),
        (["clip=0", "length=1"], r"asks for 1 frame\(s\); ask for at least 2"),
        (["clip=0", "length=2.5"], "length is 2.5, expected a whole number"),
        (["clip=0", "shift=later"], "shift is later, expected a number or .*shift: frames by which"),
        (["clip=0", "label=slide"], "label= is for models of skeleton motion, but .* makes video from action graphs"),
        (["clip=0", "mix={slide: 1}"], r"mix= is for models of skeleton motion, but .*last\.ckpt makes video from"),
        (["clip=0", "between=[slide,rotate]"], "between= is for models of skeleton motion"),
        (["clip=0", "attention=true"], "attention= is for models of skeleton motion"),
        (["clip=0", "trajectories=true"], "trajectories= is for models of skeleton motion"),
        (["clip=0", "dataset.length=6"], "The dataset's length is 6, but checkpoint .* was made with 8"),
        (["clip=0", "dataset.lenght=6"], r"dataset\.lenght is not a setting of Cater; did you mean 'length'"),
        (["promt=x"], "promt is not a setting here; did you mean 'prompt'"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(make: Make, tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(*overrides)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("slide", "slid"), r"There is no action 'slid'; known: .*Did you mean 'slide'"),
        (("cone", "con"), r"There is no shape 'con'; known: .*Did you mean 'cone'"),
        (("subject: ", "subject: gold_"), r"There is no object 'gold_\w+'; known: "),
        (("actions:", "action:"), r"graph\.yaml.*action"),
        (("destination", "destiny"), r"graph\.yaml.*destiny"),
        (("length: 8", "length: ["), r"graph\.yaml, line \d+"),
    ],
)
def test_graphs_that_cannot_be_followed_are_refused(
    make: Make, asked: dict[str, Any], tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = Path(asked["prompt"])
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(GraphError, match=message):
        make(**asked)
    assert not (tmp_path / "out").exists()


def test_files_that_are_missing_or_no_pictures_are_named(make: Make, asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere\.yaml; expected an action graph"):
        make(**{**asked, "prompt": "nowhere.yaml"})
    with pytest.raises(ConfigError, match=r"There is no picture '.*nowhere\.png'"):
        make(**{**asked, "first_frame": "nowhere.png"})
    with pytest.raises(ConfigError, match=r"graph\.yaml: it cannot be read as a picture"):
        make(**{**asked, "first_frame": asked["prompt"]})
    cut = tmp_path / "cut.png"
    cut.write_bytes(Path(asked["first_frame"]).read_bytes()[:60])
    with pytest.raises(ConfigError, match=r"cut\.png: it cannot be read as a picture"):
        make(**{**asked, "first_frame": str(cut)})
    with pytest.raises(GraphError, match="is no action graph by its name"):
        make(**{**asked, "prompt": asked["first_frame"]})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wish", ["prompt=x.yaml", "first_frame=x.png", "clip=0", "shift=2"])
def test_a_model_of_motion_takes_no_graphs(compose: Compose, trained: Path, tmp_path: Path, wish: str) -> None:
    config = compose("accelerator=cpu", "checkpoint=x", wish, verb="generate")
    config |= {"checkpoint": str(trained / "checkpoints" / "last.ckpt"), "out": str(tmp_path / "out")}
    with pytest.raises(
        ConfigError, match=f"{wish.partition('=')[0]}= is for models of video from action graphs.* makes skeleton"
    ):
        generate(config)


def test_the_command_finds_a_dataset_that_has_moved(
    trained_ag2vid: Path,
    cater: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``dataset.root=`` is a setting of the checkpoint's dataset, whichever that is."""
    root, cache = (s.partition("=")[2] for s in cater if s.startswith(("dataset.root=", "dataset.cache_dir=")))
    shutil.copytree(root, tmp_path / "elsewhere")
    typed = [
        f"checkpoint={trained_ag2vid / 'checkpoints' / 'last.ckpt'}",
        "accelerator=cpu",
        "clip=0",
        "length=2",
        f"dataset.root={tmp_path / 'elsewhere'}",
        f"dataset.cache_dir={tmp_path / 'cache'}",
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py", *typed])
    cli.main("generate")
    said = capsys.readouterr().out
    assert str(tmp_path / "cache") in said
    assert cache not in said
    assert (tmp_path / "samples" / "clip0.mp4").is_file()
