"""``export format=ag2vid``: checkpoints of the original code become folders that generate what their networks do."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from original_checkpoint import ONE_ATTRIBUTE, SMALL, Widths, make_file
from PIL import Image

from mutoscope.cli import main as cli
from mutoscope.config.assembly import load_model
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.kinds.action_graph.card import example_graph
from mutoscope.kinds.action_graph.generation import ask
from mutoscope.models.ag2vid.generation import denormalised, normalised
from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.models.ag2vid.reference.checkpoint import networks_from_reference, read_reference
from mutoscope.models.ag2vid.reference.words import category_names, frame_side, one_attribute_vocabulary
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import CATER_VOCABULARY, ActionGraphBatch, DatasetInfo
from mutoscope.verbs.export import run_export

Compose = Callable[..., dict[str, Any]]
CATEGORIES = ("__image__", "box", "cup", "hand", "knife", "lid", "pen", "pot", "spoon")


def write(folder: Path, widths: Widths = SMALL, *, critic: bool = True, flags: Any = None, **others: Any) -> Path:
    """A checkpoint whose networks differ in every setting that shapes tell, small enough to draw at once."""
    file = make_file(widths)
    # random kernels would draw noise that drowns everything: of that size, frames stay in their range
    model = {key: 0.1 * x if x.is_floating_point() else x for key, x in file.model.items()}
    content: dict[str, Any] = {"model_state": model, "counters": {"t": 5000, "epoch": 1}, **others}
    if critic:
        content["d_img_state"] = file.critic
    path = folder / "itr_5000.pt"
    torch.save(content, path)
    if flags is not None:
        (folder / "run_args.json").write_text(json.dumps(flags))
    return path


def clip(info: DatasetInfo, seed: int = 0) -> ActionGraphBatch:
    """The example of the card on a random first frame."""
    height, width = info.need_frame_size()
    random = torch.Generator().manual_seed(seed)
    frame = torch.randint(256, (3, height, width), generator=random, dtype=torch.uint8)
    return ask(example_graph(info.need_vocabulary(), 3), frame, info, 3, "example")


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Callable[..., Path]:
    """``mutoscope export`` with these words on the command line."""

    def exported(checkpoint: Path, *words: str, out: str = "model") -> Path:
        words = ("format=ag2vid", *words)
        config = compose(f"checkpoint={checkpoint}", f"out={tmp_path / out}", *words, verb="export")
        typed = dict(word.removeprefix("dataset.").split("=") for word in words if word.startswith("dataset."))
        if any(word.startswith("dataset=") for word in words):
            typed[""] = "chosen"
        return run_export(config, typed)

    return exported


@pytest.mark.parametrize("critic", [True, False], ids=["whole", "without discriminator"])
def test_an_imported_model_draws_what_the_original_networks_draw(
    run: Callable[..., Path], tmp_path: Path, critic: bool
) -> None:
    flags = {"image_size": "64,64", "flow_multiplier": 5, "only_temporal": 1, "num_upsampling_layers": "more"}
    path = write(tmp_path, replace(SMALL, spade=6), critic=critic, flags=flags)
    folder = run(path)
    model, config = load_model(folder)
    assert isinstance(model, AG2Vid)
    assert (model.discriminator is not None) == critic
    assert (model.iterations, model.info.frame_size, model.info.fps, model.info.length) == (5000, (64, 64), 8, 16)
    assert model.info.vocabulary == CATER_VOCABULARY
    assert config.dataset["root"] is None

    networks = networks_from_reference(read_reference(path))
    batch = clip(model.info)
    assert batch.frames is not None
    with torch.inference_mode():
        layout = networks.layout.eval()(batch.graph, batch.boxes[:, 0], 3).boxes
        descriptors = networks.appearance.eval()(batch.graph, layout[:, 0], 3).need_descriptors()
        first = normalised(batch.frames[:, :1], model.info.need_normaliser())
        frames = networks.frames.eval()(batch.graph, layout, descriptors, first, autoregressive=True).frames
    sample = model.generate(batch)
    torch.testing.assert_close(sample.boxes, layout)
    expected = denormalised(frames, model.info.need_normaliser())
    assert expected.float().std() > 1
    torch.testing.assert_close(sample.fake[:, 1:].int(), expected.int(), atol=1, rtol=0)
    assert torch.equal(sample.fake[:, 0], batch.frames[:, 0])


def test_the_folder_tells_where_it_comes_from(
    run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, optim_state_gen={"state": {}}, gans_model_state={"a": torch.zeros(1)})
    folder = run(path, "dataset.size=32")
    said = " ".join(capsys.readouterr().out.split())
    state = make_file().model
    assert f"Read {len(state) + len(make_file().critic or {}) - 1} tensors of" in said
    assert "left aside: pred_embeddings.weight, optim_state_gen, gans_model_state." in said
    assert len((folder / "key_map.txt").read_text().splitlines()) == len(state) + len(make_file().critic or {})
    config = json.loads((folder / "config.json").read_text())
    assert config["origin"] == "itr_5000.pt, a checkpoint of the original AG2Vid code"
    assert config["model"]["frames"]["align_corners"] is False
    card = (folder / "README.md").read_text()
    for fact in (
        config["origin"],
        "5,000 mini-batches |",
        "16 frames of 32x32 pixels at 8 fps",
        "- shape: cube, sphere, cylinder, spl, cone",
        "Actions with a destination: slide, pick_place.",
        "mutoscope evaluate checkpoint=model dataset.root=path/to/cater",
    ):
        assert fact in card
    assert "label=" not in card


def block(card: str, language: str) -> str:
    return card.split(f"```{language}\n")[1].split("```")[0]


@pytest.mark.parametrize("widths", [SMALL, ONE_ATTRIBUTE], ids=["cater", "smthv2"])
def test_the_card_does_what_it_says(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, widths: Widths
) -> None:
    words = () if widths is SMALL else ("dataset=smthv2",)
    path = write(tmp_path, widths, vocab={"object_name_to_idx": {name: i for i, name in enumerate(CATEGORIES)}})
    card = (run(path, "dataset.size=32", "dataset.length=4", *words) / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("graph.yaml").write_text(block(card, "yaml"))
    Image.new("RGB", (40, 30), (200, 100, 50)).save("frame.png")
    found: dict[str, Any] = {}
    exec(block(card, "python"), found)
    assert found["generated"].sample.fake.shape == (1, 4, 3, 32, 32)
    read_action_graph("graph.yaml").validate(found["model"].info.vocabulary)


def test_the_frame_size_is_the_originals_unless_it_is_chosen(run: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    assert load_model(run(path, "dataset=cater"))[0].info.frame_size == (256, 256)
    assert load_model(run(path, "dataset.size=64", out="small"))[0].info.frame_size == (64, 64)
    path = write(tmp_path, flags={"image_size": [128, 128]})
    assert load_model(run(path, out="told"))[0].info.frame_size == (128, 128)


def test_categories_are_those_of_the_checkpoint(
    run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"attributes": {"object": {name: i for i, name in enumerate(CATEGORIES)}}, "actions": {"put": 0}}
    info = load_model(run(write(tmp_path, ONE_ATTRIBUTE, vocab=words), "dataset=smthv2"))[0].info
    assert info.need_vocabulary().attributes == (("object", CATEGORIES),)
    assert (info.fps, info.need_vocabulary().image_node) == (12, False)
    capsys.readouterr()
    info = load_model(run(write(tmp_path, ONE_ATTRIBUTE), "dataset=smthv2", out="nameless"))[0].info
    assert info.need_vocabulary().attributes[0][1][-1] == "category_8"
    assert "does not name its 8 categories" in " ".join(capsys.readouterr().out.split())


def test_names_are_found_in_every_form() -> None:
    by_name = {name: i for i, name in enumerate(CATEGORIES)}
    by_id = {str(i): name for i, name in enumerate(CATEGORIES)}
    for words in (by_name, by_id, {"a": [{"b": by_id}]}, [*CATEGORIES], {"x": 3, "y": dict(enumerate(CATEGORIES))}):
        assert category_names(words, 9) == CATEGORIES
        assert category_names(words, 8) is None
    for words in (None, 3, {}, [], {"put": 0, "up": 1}, ["put", "up"], {"__image__": 0, "cup": 2}, [["__image__"]] * 2):
        assert category_names(words, 2) is None
    # ids need not follow the alphabet
    assert one_attribute_vocabulary(3, ("__image__", "pen", "cup")).value("object", "pen") == 1


def test_frame_sizes_are_read_in_every_form() -> None:
    assert [frame_side({"image_size": size}) for size in ("64,64", "64, 64", [64, 64], (64, 64), 64)] == [64] * 5
    assert [frame_side({"image_size": size}) for size in ("64,32", "big", [], None)] == [None] * 4
    assert frame_side({}) is None


class _Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_what_cannot_be_imported_is_refused_with_a_sentence(run: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(ConfigError, match=r"was not trained on 'smthv2': its objects have 4 attributes"):
        run(path, "dataset=smthv2")
    with pytest.raises(ConfigError, match="AG2Vid takes action_graph data, but dataset 'toy_motion' yields motion"):
        run(path, "dataset=toy_motion")
    with pytest.raises(ConfigError, match=r"was not trained on 'cater': .* have \(9,\) attribute values, 9 actions"):
        run(write(tmp_path, ONE_ATTRIBUTE))
    with pytest.raises(
        ConfigError,
        match=r"format is 'ag2', expected mutoscope or ag2vid or .*; did you mean 'ag2vid'",
    ):
        run(path, "format=ag2")
    with pytest.raises(ConfigError, match="dataset is for checkpoints of original code"):
        run(path, "format=mutoscope", "dataset.size=64")
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint '.*absent\.pt'"):
        run(tmp_path / "absent.pt")
    mark = tmp_path / "mark"
    torch.save({"model_state": {}, "vocab": _Trap(mark)}, path)
    with pytest.raises(ValueError, match=r"itr_5000\.pt' cannot be read as a file of plain tensors"):
        run(path)
    assert not mark.exists()
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="is no checkpoint of the original AG2Vid"):
        run(path)
    with pytest.raises(ConfigError, match=r"sides are multiples of 64, not 96; set dataset\.size"):
        run(write(tmp_path, flags={"num_upsampling_layers": "more"}), "dataset.size=96")
    # networks of other runs put together
    other, file = make_file(replace(SMALL, width=16)), make_file()
    state = {k: other.model[k] if k.startswith("acts_to_boxes") else x for k, x in file.model.items()}
    torch.save({"model_state": state}, path)
    with pytest.raises(ConfigError, match=r"is of shape .* in the model, but of shape"):
        run(path)
    assert not (tmp_path / "model").exists()


def test_nothing_is_overwritten(run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        run(write(tmp_path))


def test_the_command_line_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = write(tmp_path), tmp_path / "model"
    words = [f"checkpoint={path}", "format=ag2vid", "dataset=cater", "dataset.size=64"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mutoscope", "export", *words, f"out={folder}"])
    cli.main()
    assert load_model(folder)[0].info.frame_size == (64, 64)
    monkeypatch.setattr(sys, "argv", ["mutoscope", "export", *words, "out=other", "+dataset.sise=64"])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "dataset.sise is not a setting of Cater; did you mean 'size'" in capsys.readouterr().err
