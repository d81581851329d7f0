"""A stranger's model: nothing in its file is resolved, run or followed, or takes more than its weights do."""

import copy
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mutoscope.config.assembly import load_model
from mutoscope.config.foreign import from_file, taken_dataset
from mutoscope.config.nodes import build
from mutoscope.formats.checkpoints import AtomicCheckpointIO, CheckpointError, read_checkpoint
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import CATER_VOCABULARY, DatasetInfo
from mutoscope.structures.normaliser import Normaliser
from mutoscope.structures.skeleton import NTU25
from mutoscope.verbs.export import export

Compose = Callable[..., dict[str, Any]]
ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}

MOTION = DatasetInfo(
    name="toy_motion",
    kind="motion",
    classes=("walk", "wave"),
    fps=30.0,
    length=16,
    channels=3,
    skeleton=NTU25,
    normaliser=Normaliser((0.0,) * 3, (1.0,) * 3),
)
VIDEO = DatasetInfo(
    name="toy_blocks",
    kind="action_graph",
    classes=(),
    fps=8.0,
    length=8,
    channels=3,
    frame_size=(32, 32),
    vocabulary=CATER_VOCABULARY,
)
MODELS: dict[str, tuple[DatasetInfo, dict[str, Any]]] = {
    "kinetic_gan": (
        MOTION,
        {
            "_target_": "mutoscope.models.kinetic_gan.module.KineticGAN",
            "latent": 8,
            "widths": [16, 16, 8, 8, 8],
            "optimizers": {"critic": ADAM, "generator": ADAM},
        },
    ),
    "sa_gcn": (
        MOTION,
        {
            "_target_": "mutoscope.models.sa_gcn.module.SAGCN",
            "generator": {"widths": [8, 8, 8], "graph_widths": [4, 4, 4, 4, 4], "heads": 1},
            "clip_critic": {"widths": [8, 8, 8, 8]},
            "frame_critic": {"widths": [8, 8, 8, 8], "frames": 16},
            "optimizers": {"clip_critic": ADAM, "frame_critic": ADAM, "generator": ADAM},
        },
    ),
    "ag2vid": (
        VIDEO,
        {
            "_target_": "mutoscope.models.ag2vid.module.AG2Vid",
            "width": 8,
            "graph_hidden": 8,
            "frames": {
                "flow": {"width": 4, "blocks": 1},
                "spade": {"width": 2, "hidden": 4},
                "perceptual": "none",
                "perceptual_weights": None,
            },
            "discriminator": {"width": 4},
            "optimizers": {"layout": ADAM, "generator": ADAM, "discriminator": ADAM},
        },
    ),
}


def checkpoint_of(name: str) -> dict[str, Any]:
    info, node = MODELS[name]
    model = build(node, "model", info=info)
    dataset = {"name": info.name}
    own = {
        "config": {"model": node, "dataset": dataset},
        "info": info.to_dict(),
        "iterations": 0,
        "samples_seen": 0,
    }
    return {"mutoscope": own, "state_dict": model.state_dict()}


@pytest.fixture(scope="module")
def checkpoints() -> dict[str, dict[str, Any]]:
    return {name: checkpoint_of(name) for name in MODELS}


@pytest.fixture
def in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, where nothing may appear, and broken off after 20 seconds of a processor."""

    def broken_off(*_: Any) -> None:
        # no Exception, which would be taken for an error of the file
        pytest.fail("it had not ended after 20 seconds of a processor")

    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    before = signal.signal(signal.SIGPROF, broken_off)
    # seconds of this process, which a busy machine does not make longer
    signal.setitimer(signal.ITIMER_PROF, 20)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert list(empty.iterdir()) == []


@pytest.mark.usefixtures("in_seconds")
def test_what_does_not_end_is_broken_off() -> None:
    def endless() -> None:
        with from_file(Path("x.ckpt")):
            while True:
                pass

    signal.setitimer(signal.ITIMER_PROF, 0.01)
    with pytest.raises(pytest.fail.Exception, match="had not ended"):
        endless()


def saved(checkpoint: dict[str, Any], path: Path) -> Path:
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return path


def changed(checkpoint: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """With the setting at ``place`` (below ``config``, or ``info...``) changed."""
    made = {**checkpoint, "mutoscope": copy.deepcopy(checkpoint["mutoscope"])}
    here = made["mutoscope"] if place.startswith("info") else made["mutoscope"]["config"]
    *way, last = place.split(".")
    for part in way:
        here = here.setdefault(part, {})
    here[last] = value
    return made


def failure(work: Callable[[], Any]) -> str | None:
    """The sentence with which a file is refused; any other exception passes."""
    try:
        work()
    except CheckpointError as error:
        return str(error)
    return None


RUNS = [
    "${oc.create:{_target_:sympy.sympify,_args_:[\"__import__('pathlib').Path('ran').touch()\"]}}",
    "${oc.create:{_target_:torch.load,f:ran,weights_only:false}}",
    "${oc.create:{_target_:numpy.load,file:ran,allow_pickle:true}}",
    "${oc.create:{_target_:torch.hub.load,repo_or_dir:.,model:ran,source:local}}",
    "${oc.create:{_target_:builtins.open,file:ran,mode:w}}",
    "${oc.create:{_target_:pathlib.Path.write_text,_args_:[ran,ran]}}",
    "${oc.env:HOME}",
    "a ${model.latent} b",
]


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize("text", RUNS)
@pytest.mark.parametrize(
    "place",
    ["model.optimizers.critic", "model.optimizers.critic.lr", "model.latent", "model.widths", "model.schedulers"],
)
def test_interpolations_in_a_file_are_never_resolved(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, place: str, text: str
) -> None:
    value = [16, text, 8, 8, 8] if place.endswith("widths") else text
    path = saved(changed(checkpoints["kinetic_gan"], place, value), tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError, match=rf"evil\.ckpt: {place}.* interpolations are not resolved"):
        load_model(path)


@pytest.mark.usefixtures("in_seconds")
def test_the_same_in_an_exported_folder(trained: Path, tmp_path: Path) -> None:
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["optimizers"]["critic"] = RUNS[0]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"model: model\.optimizers\.critic is .* interpolations are not resolved"
    ):
        load_model(folder)
    with pytest.raises(CheckpointError, match="interpolations are not resolved"):
        export(folder, tmp_path / "again")


@pytest.mark.usefixtures("in_seconds")
def test_names_that_look_like_interpolations_stay_names(checkpoints: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    named = changed(checkpoints["kinetic_gan"], "info.classes", ["${oc.env:HOME}", "wave"])
    model, _ = load_model(saved(named, tmp_path / "odd.ckpt"))
    assert model.info.classes[0] == "${oc.env:HOME}"


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize(
    ("place", "node", "message"),
    [
        ("model.optimizers.critic", {"_target_": "torch.nn.Linear", "_partial_": True}, "which is no optimiser"),
        ("model.optimizers.critic", {"_target_": "torch.optim.Adam"}, "_partial_=true: the program completes"),
        ("model.optimizers.critic", {**ADAM, "params": []}, "params is not a setting of Adam"),
        ("model.optimizers.critic", {**ADAM, "_args_": [[]]}, "_args_ is not a setting of Adam"),
        (
            "model.optimizers.critic",
            {"_target_": "pytorch_lightning.loggers.CSVLogger", "_partial_": True, "save_dir": "ran"},
            "only classes of mutoscope",
        ),
        (
            "model.optimizers.critic",
            {"_target_": "mutoscope.training.loggers.FileLogger", "_partial_": True},
            "is no optimiser",
        ),
        ("model.schedulers.critic", {**ADAM}, "which is no learning rate's schedule"),
        (
            "model.schedulers.critic",
            {"_target_": "torchmetrics.image.fid.FrechetInceptionDistance"},
            "only classes of mutoscope",
        ),
        ("model.latent", {"_target_": "mutoscope.evaluators.published.PretrainedLPIPS"}, "which is no network"),
        ("model.latent", {"_target_": "mutoscope.data.motion.toy_motion.ToyMotion"}, "which is no network"),
        (
            "model.widths",
            [{"_target_": "mutoscope.training.loggers.TensorBoardRun", "run_dir": "ran"}],
            "which is no network",
        ),
        ("model.widths", [{"_target_": "torch.optim.Adam", "_partial_": True}], "which is no network"),
        ("model.optimizers.critic.lr", {"_target_": "pathlib.Path", "_args_": ["ran"]}, "only classes of mutoscope"),
        ("model._target_", "mutoscope.training.callbacks.media.SampleMedia", "which is no model"),
        ("model._target_", "pytorch_lightning.Trainer", "only classes of mutoscope"),
        (
            "model._target_",
            "mutoscope.models.recognizer.module.Recognizer",
            "holds a Recognizer, which generates nothing",
        ),
    ],
)
def test_every_slot_builds_its_own_kind_alone(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, place: str, node: Any, message: str
) -> None:
    path = saved(changed(checkpoints["kinetic_gan"], place, node), tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError, match=rf"evil\.ckpt: .*{message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("where", "target", "message"),
    [
        ("metrics.speed", "mutoscope.training.loggers.TensorBoardRun", "which is no metric; only a metric stands here"),
        ("logger.mine", "mutoscope.metrics.BoneDrift", "which is no logger"),
        ("callbacks.mine", "torch.optim.Adam", "which is no callback"),
        ("trainer", "torch.nn.Linear", "which is no trainer"),
        ("recognizer.model", "torch.nn.Linear", "which is no model"),
        ("metrics.speed.net", "pytorch_lightning.loggers.CSVLogger", "which is no part"),
    ],
)
def test_roles_hold_for_what_is_typed_too(where: str, target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build({"_target_": target}, where)


HUGE = [10**9, 10**23, 10**5000, 1e30, -1, float("inf"), float("nan"), True, "8", [8], {"a": 8}, None]


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize(
    ("name", "setting", "least"),
    [
        # layers are counted while they are made: however many are asked for, it ends at the same one
        ("kinetic_gan", "mapping_depth", []),
        ("kinetic_gan", "latent", [20_000]),
        ("kinetic_gan", "last_width", [20_000]),
        ("sa_gcn", "generator.noise", [20_000]),
        ("sa_gcn", "generator.heads", [20_000]),
        ("ag2vid", "frames.flow.blocks", []),
        ("ag2vid", "discriminator.scales", []),
    ],
)
def test_sizes_beyond_the_weights_end_in_seconds(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, name: str, setting: str, least: list[int]
) -> None:
    for value in (*least, 9_999_999, 10**23, 10**5000):
        path = saved(changed(checkpoints[name], f"model.{setting}", value), tmp_path / "large.ckpt")
        with pytest.raises(CheckpointError, match=r"large\.ckpt"):
            load_model(path)


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize(
    ("name", "setting", "count"),
    [
        ("kinetic_gan", "widths", 5),
        ("kinetic_gan", "critic_widths", 5),
        ("sa_gcn", "generator.widths", 3),
        ("sa_gcn", "generator.graph_widths", 5),
        ("sa_gcn", "clip_critic.widths", 4),
    ],
)
def test_widths_beyond_the_weights_end_in_seconds(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, name: str, setting: str, count: int
) -> None:
    for width in (20_000, 9_000_000):
        path = saved(changed(checkpoints[name], f"model.{setting}", [width] * count), tmp_path / "wide.ckpt")
        with pytest.raises(CheckpointError, match=r"wide\.ckpt.*(far more than its weights|shape)"):
            load_model(path)


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "field", ["length", "channels", "fps", "classes", "normaliser", "skeleton", "frame_size", "name"]
)
def test_descriptions_that_no_data_have_end_in_seconds(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, name: str, field: str
) -> None:
    own = checkpoints[name]["mutoscope"]["info"][field]
    for value in (*HUGE, [10**9], ["a"] * 20_000, [[1e39] * 3], {"offset": [0, 0, 0], "scale": [1e-40, 1, 1]}):
        if value == own or (value is None and own is None):
            continue
        path = saved(changed(checkpoints[name], f"info.{field}", value), tmp_path / "odd.ckpt")
        # some of these mean something: another rate, other words, nothing where a model needs nothing
        error = failure(partial(load_model, path))
        assert error is None or "odd.ckpt" in error


@pytest.mark.usefixtures("in_seconds")
@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_lengths_mean_frames(checkpoints: dict[str, dict[str, Any]], tmp_path: Path, value: Any) -> None:
    path = saved(changed(checkpoints["kinetic_gan"], "info.length", value), tmp_path / "odd.ckpt")
    expected = r"odd\.ckpt: the description of its data: info\.length is .*expected|cannot be read as a checkpoint"
    with pytest.raises(CheckpointError, match=expected):
        load_model(path)


@pytest.mark.usefixtures("in_seconds")
def test_deep_and_repeated_settings_are_counted(checkpoints: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    wide: Any = [0] * 10
    for _ in range(12):
        wide = [wide] * 10
    for value in (deep, wide):
        path = saved(changed(checkpoints["kinetic_gan"], "model.widths", value), tmp_path / "odd.ckpt")
        with pytest.raises(CheckpointError, match=r"odd\.ckpt: config.*(deeper|holds more)"):
            load_model(path)


def test_tensors_that_claim_more_than_they_hold_are_refused(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    first = next(iter(checkpoints["kinetic_gan"]["state_dict"]))
    for value in (torch.zeros(1).expand(10**12), torch.eye(3).to_sparse(), torch.empty(10**12, device="meta"), 3):
        state = {**checkpoints["kinetic_gan"]["state_dict"], first: value}
        torch.save({**checkpoints["kinetic_gan"], "state_dict": state}, tmp_path / "odd.ckpt")
        with pytest.raises(CheckpointError, match=r"odd\.ckpt"):
            load_model(tmp_path / "odd.ckpt")


def test_flipped_bits_are_seen(trained: Path, tmp_path: Path) -> None:
    source = trained / "checkpoints" / "last.ckpt"
    assert read_checkpoint(source)["mutoscope"]["sha256"]
    whole = source.read_bytes()
    for place in range(len(whole) // 7, len(whole), len(whole) // 7):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        (tmp_path / "flipped.ckpt").write_bytes(spoilt)
        error = failure(lambda: read_checkpoint(tmp_path / "flipped.ckpt"))
        assert error is None or "flipped.ckpt" in error
        if error is None:
            # between the parts of an archive lies padding, which means nothing
            again = torch.load(tmp_path / "flipped.ckpt", weights_only=True)
            torch.testing.assert_close(again["state_dict"], torch.load(source, weights_only=True)["state_dict"])
    # other weights, written anew as if nothing had been
    data = torch.load(source, weights_only=True)
    next(value for value in data["state_dict"].values() if value.is_floating_point()).view(-1)[0] += 1
    torch.save(data, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"weights of .*other\.ckpt are not those that were written"):
        read_checkpoint(tmp_path / "other.ckpt")
    del data["mutoscope"]["sha256"]
    torch.save(data, tmp_path / "old.ckpt")
    assert load_model(tmp_path / "old.ckpt")


def test_flipped_bits_of_exports_are_seen(trained: Path, tmp_path: Path) -> None:
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    spoilt = bytearray(whole)
    spoilt[-3] ^= 4
    weights.write_bytes(spoilt)
    with pytest.raises(CheckpointError, match=r"weights of .*config\.json are not those that were written"):
        load_model(folder)
    tensors = load_file(weights)
    weights.write_bytes(whole)
    load_model(folder)
    # an export of before there were digests
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("sha256")
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, weights)
    load_model(folder)


def test_what_is_no_file_is_named(trained: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    (tmp_path / "loop.ckpt").symlink_to(tmp_path / "loop.ckpt")
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("weights")
    for name, message in {
        "pipe": "is a pipe, expected a file",
        "loop": "There is no checkpoint at",
        "empty": "is empty",
        "text": "cannot be read as a checkpoint",
    }.items():
        with pytest.raises(CheckpointError, match=rf"{name}\.ckpt.*|{message}") as raised:
            load_model(tmp_path / f"{name}.ckpt")
        assert message in str(raised.value)
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    for content, message in {
        b"\xff\xfe{\x00}\x00": "codec can't decode",
        b"": "not readable as JSON",
        b"[" * 100_000: "deeper than",
        b'{"format": "mutoscope-1", "model": 3, "dataset": {}, "info": {}, "iterations": 0, "samples_seen": 0}': "its",
        b'{"format": ' + b"9" * 5000 + b"}": "not readable as JSON",
    }.items():
        (folder / "config.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as raised:
            load_model(folder)
        assert "config.json" in str(raised.value)
    shutil.rmtree(folder)


def test_places_in_a_file_are_said_and_its_cache_is_left_aside(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = {
        "name": "cmu_mocap",
        "root": "/data/mocap",
        "cache_dir": "/tmp/theirs",
        "num_workers": 10**6,
        "length": 16,
    }
    assert taken_dataset(theirs, {}, "x.ckpt") == {"name": "cmu_mocap", "root": "/data/mocap", "length": 16}
    said = " ".join(capsys.readouterr().out.split())
    assert "The cache of x.ckpt, /tmp/theirs, is left aside for yours" in said
    assert "Reading the data that x.ckpt names: dataset.root=/data/mocap" in said
    typed = {"root": "/mine", "cache_dir": "/cache"}
    assert taken_dataset(theirs, typed, "x.ckpt") == {"name": "cmu_mocap", "length": 16, **typed}
    assert capsys.readouterr().out == ""
    for evil in ({"length": 10**9}, {"clips_per_class": 10**5}, {"root": "${oc.env:HOME}"}):
        with pytest.raises(CheckpointError, match=r"x\.ckpt: dataset\."):
            taken_dataset({**theirs, **evil}, {}, "x.ckpt")
        assert taken_dataset({**theirs, **evil}, evil, "x.ckpt")


def test_weights_of_perceptual_networks_are_not_looked_for_where_a_file_says(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    named = changed(checkpoints["ag2vid"], "model.frames.perceptual_weights", "/home/somebody/vgg.pth")
    model, config = load_model(saved(named, tmp_path / "named.ckpt"))
    assert config.model["frames"]["perceptual_weights"] is None
    assert model.frames.perceptual_weights is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("ag2vid", "model.frames.flow", {"widht": 4}, r"model\.frames\.flow\.widht is not .* did you mean 'width'"),
        ("ag2vid", "model.frames.flow", 3, r"model\.frames\.flow is 3, expected settings"),
        ("ag2vid", "model.frames.flow", {"width": "${a}"}, "interpolations are not resolved"),
        ("ag2vid", "model.frames.flow", {"width": 10**9}, "no network is as large"),
        ("ag2vid", "model.frames.flow", {"width": 5000}, "its settings ask for more than"),
        ("ag2vid", "model.frames.spade", {"upsampling": "most", "width": "a"}, "expected a whole number"),
        ("ag2vid", "model.discriminator", {"_target_": "torch.nn.Linear"}, "_target_ is not a setting"),
        ("ag2vid", "model.layout", {"rivals": ["gcn"]}, "the layout itself"),
        ("sa_gcn", "model.generator", {"widths": [8, 8]}, "has 2 numbers, expected 3"),
        ("sa_gcn", "model.graph", {"self_loop": -1}, "self_loop is -1"),
    ],
)
def test_nodes_of_settings_in_a_file_are_checked_as_others_are(
    checkpoints: dict[str, dict[str, Any]], tmp_path: Path, name: str, place: str, value: Any, message: str
) -> None:
    odd = changed(checkpoints[name], place, value)
    with pytest.raises(CheckpointError, match=rf"odd\.ckpt.*{message}"):
        load_model(saved(odd, tmp_path / "odd.ckpt"))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("name", None, "dataset.name is None, expected the name of a dataset"),
        ("name", ["toy_motion"], "expected the name of a dataset"),
        ("name", "toy_moton", "Did you mean 'toy_motion'"),
        ("length", "many", "dataset.length is 'many', expected a whole number"),
        ("lenght", 16, "did you mean 'length'"),
        ("classes", {"_target_": "torch.nn.Linear"}, r"dataset\.classes"),
    ],
)
def test_a_dataset_that_is_none_is_the_files_fault(setting: str, value: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=rf"x\.ckpt: .*{message}"):
        taken_dataset({"name": "toy_motion", setting: value}, {}, "x.ckpt")
