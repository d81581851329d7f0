"""The public face: what the command line does, Python can, with the same results."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import mutoscope as ms
from mutoscope.config.choices import config_dir
from mutoscope.formats.checkpoints import CheckpointError
from mutoscope.kinds.motion.settings import MotionRequest
from mutoscope.kinds.motion.tools import MotionTools
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generate

Compose = Callable[..., dict[str, Any]]
QUICK = {"motion_fid": None, "motion_mmd": None, "movement": None, "accuracy": None, "nearest_train": None}


@pytest.fixture(scope="module")
def model(trained: Path) -> ms.TrainedModel:
    return ms.load(trained, accelerator="cpu")


def test_importing_brings_no_torch_along() -> None:
    code = (
        "import sys, mutoscope as ms; ms.classes(walk=2); assert 'load' in dir(ms)\n"
        "print([name for name in ('torch', 'pytorch_lightning', 'torchmetrics', 'torchvision') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.strip() == "[]"


def test_all_names_of_the_face_exist_and_have_docstrings() -> None:
    for name in ms.__all__:
        assert getattr(ms, name).__doc__ or name == "__version__"
    with pytest.raises(AttributeError, match="module 'mutoscope' has no attribute 'laod'"):
        ms.laod  # noqa: B018
    assert (Path(ms.__file__).parent / "py.typed").is_file()


def test_runs_checkpoints_and_exports_are_loaded(model: ms.TrainedModel, trained: Path, tmp_path: Path) -> None:
    last = trained / "checkpoints" / "last.ckpt"
    assert model.path == last
    assert (model.kind, model.classes) == ("motion", ("walk", "wave", "kick"))
    assert repr(model).startswith("KineticGAN on toy_motion after 6 iterations")
    folder = model.export(tmp_path / "exported")
    made = [
        ms.load(path, accelerator="cpu").generate(label="walk", n=1).sample.fake
        for path in (str(trained), last, str(last), folder)
    ]
    assert all(torch.equal(made[0], other) for other in made[1:])
    with pytest.raises(CheckpointError, match=r"holds runs, and one is expected: .*trained"):
        ms.load(trained.parent)
    with pytest.raises(CheckpointError, match="There is no checkpoint at nowhere"):
        ms.load("nowhere")


def test_generating_is_what_the_command_does(
    model: ms.TrainedModel, compose: Compose, trained: Path, tmp_path: Path
) -> None:
    config = compose("accelerator=cpu", "checkpoint=x", "label=[walk,kick]", "n=2", "seed=3", verb="generate")
    sample = generate(config | {"checkpoint": str(trained), "out": str(tmp_path / "command")})
    asked = model.generate(ms.classes("walk", "kick", n=2), seed=3)
    assert torch.equal(asked.sample.fake, sample.fake)
    assert not (tmp_path / "python").exists()
    paths = asked.save(tmp_path / "python")
    assert {path.name for path in (tmp_path / "command").iterdir()} == {p.name for p in (tmp_path / "python").iterdir()}
    assert tmp_path / "python" / "joints.npy" in paths
    written = [np.load(tmp_path / side / "joints.npy", allow_pickle=False) for side in ("command", "python")]
    np.testing.assert_array_equal(*written)
    np.testing.assert_array_equal(asked.joints, written[0])
    # the words of the command line are those of Python
    assert torch.equal(model.generate(label=["walk", "kick"], n=2, seed=3).sample.fake, sample.fake)


def test_so_many_of_each_class(model: ms.TrainedModel, compose: Compose, trained: Path, tmp_path: Path) -> None:
    asked = model.generate(ms.classes(kick=3, walk=1))
    assert asked.sample.label.tolist() == [2, 2, 2, 0]
    asked.save(str(tmp_path / "samples"))
    assert np.load(tmp_path / "samples" / "labels.npy", allow_pickle=False).tolist() == [2, 2, 2, 0]
    config = compose("accelerator=cpu", "checkpoint=x", "label={kick: 3, walk: 1}", verb="generate")
    sample = generate(config | {"checkpoint": str(trained), "out": str(tmp_path / "command")})
    assert torch.equal(asked.sample.fake, sample.fake)
    assert ms.classes() == MotionRequest()
    assert ms.classes({"jump rope": 2}).label == {"jump rope": 2}


@pytest.mark.parametrize(
    ("request_", "wishes", "message"),
    [
        (None, {"lable": "walk"}, "lable is not a setting for skeleton motion; did you mean 'label'"),
        (
            None,
            {"prompt": "a.yaml"},
            r"prompt= is for models of video from action graphs, but .*last\.ckpt makes skeleton",
        ),
        (None, {"n": "many"}, "n is 'many', expected a whole number. n: clips per class or mixture"),
        (ms.classes("walk"), {"n": 3}, "got a request and n; say all of it in the request"),
        (ms.classes("swim"), {}, "There is no class 'swim'"),
        (ms.classes(walk=0), {}, "label asks for 0 sequences of 'walk', expected at least 1"),
        (ms.classes({"walk": 1, "0": 2}), {}, "label names a class twice: walk, 0"),
        (ms.classes("walk", n="2"), {}, "n is '2', expected a whole number"),  # type: ignore[arg-type]
        (ms.mixture(walk=0.5, wave=0.5), {}, "mix= is for models that take mixtures of classes"),
        (ms.prompt("graph.yaml", "frame.png"), {}, "takes a MotionRequest, not a ActionGraphRequest"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    model: ms.TrainedModel, request_: Any, wishes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        model.generate(request_, **wishes)


def test_names_and_counts_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"say either classes\('walk', 'wave', n=4\) or classes\(walk=4\)"):
        ms.classes("walk", wave=2)


def test_evaluating_is_what_the_command_does(
    model: ms.TrainedModel, compose: Compose, trained: Path, tmp_path: Path
) -> None:
    typed = {f"metrics.{name}": value for name, value in QUICK.items()}
    config = compose(
        *["checkpoint=x", "samples_per_class=3", "reference=held_out", "seeds=[1,2]", "accelerator=cpu"],
        *[f"{key}=null" for key in typed],
        verb="evaluate",
    )
    config |= {"checkpoint": str(trained), "out": str(tmp_path / "command")}
    command = evaluate(config, {"metrics": dict(QUICK)})
    settings: dict[str, Any] = {"metrics": QUICK, "samples_per_class": 3, "reference": "held_out", "seeds": [1, 2]}
    python = ms.evaluate(model, **settings)
    assert not (tmp_path / "python").exists()
    written = python.write(tmp_path / "python")
    assert {path.name for path in written} >= {"metrics.json", "table.csv", "report.html", "media"}
    one, other = (json.loads((tmp_path / side / "metrics.json").read_text()) for side in ("command", "python"))
    # typed with the run's folder, and loaded from its checkpoint
    assert one["protocol"].pop("command").replace(str(trained), "x").split()[:2] == ["mutoscope", "evaluate"]
    assert "seeds=[1, 2]" in other["protocol"].pop("command").replace("'", "")
    assert one == other
    assert [row.name for row in command.rows] == [row.name for row in python.rows]
    assert "| bone_drift" in str(python)
    opened = ms.evaluate(str(trained), model.dataset(), accelerator="cpu", **settings)
    assert opened.rows[1].values == python.rows[1].values


def test_no_recogniser_is_trained_where_no_metric_asks_for_one(
    model: ms.TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("a recogniser was asked for")

    monkeypatch.setattr("mutoscope.kinds.motion.measure.recognizer_for", never)
    found = ms.evaluate(model, metrics=QUICK, samples_per_class=2)
    assert set(found.rows[0].values) == {"bone_drift"}
    absent = found.tables["controllability"].rows[0].absent
    assert "no metric asks for a recogniser" in absent["action_swap"]
    assert found.protocol["recognizers"] == {}
    # what real clips are held against comes from the data
    assert isinstance(MotionTools().metrics(model.dataset(), {}, None), dict)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"referense": "train"}, "referense is not a setting for skeleton motion; did you mean 'reference'"),
        ({"reference": "test"}, "reference is 'test', expected train or held_out"),
        ({"beside": "x.ckpt"}, "beside is 'x.ckpt', expected paths of checkpoints by name"),
        ({"metrics": "motoin"}, "There is no metrics 'motoin'; did you mean 'motion'"),
        ({"metrics": "action_graph"}, "which motion data do not have"),
        ({"seeds": [1, 1]}, "expected different whole numbers"),
        ({"data": "toy_motoin"}, "There is no dataset 'toy_motoin'"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(model: ms.TrainedModel, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ms.evaluate(model, **settings)


def test_models_stand_beside_one_another(model: ms.TrainedModel, trained: Path) -> None:
    early = ms.load(trained / "checkpoints" / "step=00000002.ckpt", accelerator="cpu")
    found = ms.evaluate(model, metrics=QUICK, samples_per_class=2, beside={"early": early})
    assert [row.name for row in found.rows][1:3] == ["trained", "early"]
    assert found.protocol["beside"] == {"early": str(early.path)}
    assert f"early: {early.path}" in found.protocol["command"].replace('"', "")
    several = ms.evaluate([model, early], metrics=QUICK, samples_per_class=2)
    assert len(several.rows[1].runs) == 2


def test_defaults_are_those_of_the_command_line() -> None:
    usual = yaml.safe_load((config_dir() / "evaluate.yaml").read_text())
    mine = {name: p.default for name, p in inspect.signature(ms.evaluate).parameters.items()}
    for name in ("split", "samples_per_class", "seed", "seeds", "accelerator", "metrics", "recognizer"):
        assert mine[name] == usual[name], name
    assert inspect.signature(ms.TrainedModel.generate).parameters["seed"].default == 0
    assert yaml.safe_load((config_dir() / "generate.yaml").read_text())["seed"] == 0


def test_datasets_and_metrics_are_had_by_name(model: ms.TrainedModel) -> None:
    data = ms.dataset("toy_motion", clips_per_class=2, val_clips_per_class=2, classes=["walk", "wave"], length=16)
    assert (data.info.classes, data.info.length, data.batch_size) == (("walk", "wave"), 16, 32)
    drift = ms.metric("bone_drift", data)
    batch = next(iter(data.once("val")))
    drift.update(batch.joints, batch.label, real=False)
    assert float(drift.compute()) < 1e-3
    assert type(ms.metric("paper/kinetic_gan_mmd", data, per_class=2)).__name__ == "KineticGANMMD"
    assert ms.metric("layout_recall_30", threshold=0.4).threshold == 0.4
    with pytest.raises(ConfigError, match=r"There is no metric 'bone_drif'; did you mean 'bone_drift'\?"):
        ms.metric("bone_drif")
    with pytest.raises(ConfigError, match="'bone_drift' asks for skeleton, which comes with data"):
        ms.metric("bone_drift")
    with pytest.raises(ConfigError, match=r"dataset\.lenght is not a setting of ToyMotion; did you mean 'length'"):
        ms.dataset("toy_motion", lenght=3)
    with pytest.raises(ConfigError, match=r"The dataset's classes is .*but checkpoint"):
        ms.evaluate(model, data)


def test_an_export_evaluates_like_its_checkpoint(model: ms.TrainedModel, trained: Path, tmp_path: Path) -> None:
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    one, other = (ms.evaluate(m, metrics=QUICK, samples_per_class=2) for m in (model, folder))
    assert one.rows[1].values == other.rows[1].values


def test_training_is_what_the_command_does(tiny_typed: tuple[str, ...], trained: Path, tmp_path: Path) -> None:
    model = ms.train(*tiny_typed, "trainer.max_steps=6", "trainer.milestones_every_n_steps=2", out=tmp_path / "run")
    assert model.module.iterations == 6
    before = ms.load(trained).module.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    with pytest.raises(ConfigError, match=r"model\.latent is 'oops', expected a whole number"):
        ms.train("model.latent=oops")
