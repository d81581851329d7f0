"""What was made when parts of the house had other names still loads, evaluates, generates and resumes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch

from mutoscope.cli.typed import typed_values
from mutoscope.config.assembly import load_model
from mutoscope.config.signatures import annotations, parameters
from mutoscope.config.targets import locate
from mutoscope.config.values import settings_class
from mutoscope.formats.checkpoints import read_checkpoint, save_atomically
from mutoscope.formats.upgrades import MOVED, SETTINGS, upgraded
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import run_export
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train, write_config

Compose = Callable[..., dict[str, Any]]


def aged(config: Any) -> Any:
    """The inverse of :func:`upgraded`, written apart from it."""
    text = json.dumps(config)
    for old, new in MOVED.items():
        text = text.replace(f'"_target_": "{new}.', f'"_target_": "{old}.')
    return json.loads(text)


@pytest.fixture
def old_run(trained: Path, tmp_path: Path) -> Path:
    """A run directory as it was written under the old names."""
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    for path in run_dir.glob("checkpoints/*.ckpt"):
        data = torch.load(path, weights_only=True)
        config = aged(data["mutoscope"]["config"])
        assert config["trainer"]["_target_"] == "mutoscope.engine.make_trainer"
        data["mutoscope"]["config"] = config
        save_atomically(data, path)
    write_config(config, run_dir)
    return run_dir


def test_every_old_name_leads_to_a_module_of_today() -> None:
    for old, new in MOVED.items():
        import_module(new)
        assert upgraded({"a": [{"_target_": f"{old}.Thing", "b": 1}]}) == {"a": [{"_target_": f"{new}.Thing", "b": 1}]}


@pytest.mark.parametrize(
    "target", ["mutoscope.metrics.MotionFID", "mutoscope.enginery.make_trainer", "mutoscope.engine", "torch.x", 3, None]
)
def test_other_names_stay(target: Any) -> None:
    assert upgraded({"_target_": target}) == {"_target_": target}


def test_an_old_run_generates_evaluates_exports_and_resumes(
    old_run: Path, compose: Compose, tiny: Compose, tmp_path: Path
) -> None:
    last = old_run / "checkpoints" / "last.ckpt"
    assert (
        read_checkpoint(last)["mutoscope"]["config"]["trainer"]["_target_"] == "mutoscope.training.trainer.make_trainer"
    )
    generate(compose(f"checkpoint={last}", f"out={tmp_path / 'samples'}", "n=1", verb="generate"))
    assert list((tmp_path / "samples").glob("*.npy"))
    typed = (f"checkpoint={last}", f"out={tmp_path / 'out'}", "samples_per_class=4", "recognizer.max_steps=2")
    evaluate(compose(*typed, verb="evaluate"), {"recognizer": typed_values(typed, "recognizer")})
    assert (tmp_path / "out" / "metrics.json").is_file()
    folder = run_export(compose(f"checkpoint={last}", f"out={tmp_path / 'model'}", verb="export"), {})
    assert type(load_model(folder)[0]).__name__ == "KineticGAN"
    train(tiny("trainer.max_steps=8", "ckpt=last"), old_run)
    assert [row["step"] for row in read_metrics(old_run / "metrics.jsonl")][-1] == 8


AG2VID, SA_GCN = "mutoscope.models.ag2vid.module.AG2Vid", "mutoscope.models.sa_gcn.module.SAGCN"
KINETIC_GAN = "mutoscope.models.kinetic_gan.module.KineticGAN"
#: as conf/model/ag2vid.yaml had them
FLAT_AG2VID: dict[str, Any] = {
    "_target_": AG2VID,
    "layout": "gcn",
    "rivals": [],
    "frames": True,
    "width": 128,
    "graph_hidden": 512,
    "graph_layers": 3,
    "clip_progress": False,
    "only_actions": False,
    "layout_truncate": None,
    "layout_beta": 1.0,
    "geometry_gain": 1.0,
    "still_start": False,
    "appearance_boxes": "internal",
    "attribute_width": None,
    "flow_width": 32,
    "flow_halvings": 3,
    "flow_blocks": 6,
    "flow_multiplier": 20.0,
    "ngf": 64,
    "spade_hidden": 128,
    "segmap_channels": None,
    "upsampling": "normal",
    "follow_boxes": False,
    "carry_objects": False,
    "align_corners": True,
    "per_frame": False,
    "previous": "given",
    "frames_truncate": None,
    "checkpoint_activations": False,
    "steps_in_backward": False,
    "discriminator": True,
    "discriminator_graph_layers": 2,
    "discriminator_width": 64,
    "discriminator_layers": 4,
    "discriminator_scales": 2,
    "carry_state": True,
    "adversarial": "hinge",
    "perceptual": "vgg19",
    "perceptual_weights": None,
    "channels_last": False,
}
FLAT_SA_GCN: dict[str, Any] = {
    "_target_": SA_GCN,
    "variant": "paper",
    "layer": None,
    "kept": None,
    "self_loop": None,
    "node_mixing": None,
    "activation": None,
    "coordinates": None,
    "random_start": None,
    "kernel": None,
    "noise": 30,
    "embedding": 20,
    "projection": 60,
    "hidden": 100,
    "widths": [512, 1024, 1024],
    "graph_widths": [32, 64, 64, 128, 128],
    "heads": 3,
    "clip_widths": [1000, 1000, 1024, 128],
    "frame_widths": [1024, 512, 1024, 128],
    "frames": 20,
    "frames_in_order": False,
    "real_target": 0.9,
    "class_weight": 0.0,
    "penalty_weight": 0.0,
    "critic_streams": ["joints"],
}


def full(node: dict[str, Any]) -> dict[str, Any]:
    """What a model node builds its networks of, each default spelled out."""
    cls = locate(node["_target_"], "model")
    settings = {name: p.default for name, p in parameters(cls).items() if name in SETTLED}
    plain = {name: asdict(value) if is_dataclass(value) else value for name, value in settings.items()}  # type: ignore[arg-type]
    return json.loads(json.dumps(merged(plain, {k: v for k, v in node.items() if k in SETTLED})))


SETTLED = ("layout", "frames", "discriminator", "graph", "generator", "clip_critic", "frame_critic")


def merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {key: merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}


@pytest.mark.parametrize(("flat", "choice"), [(FLAT_AG2VID, "ag2vid"), (FLAT_SA_GCN, "sa_gcn")])
def test_flat_settings_become_those_of_today(flat: dict[str, Any], choice: str, compose: Compose) -> None:
    today = compose(f"model={choice}", "dataset=toy_blocks" if choice == "ag2vid" else "dataset=toy_motion")["model"]
    found = upgraded(flat)
    assert merged(today, found) == today
    assert full(found) == full({"_target_": flat["_target_"]})
    assert upgraded(found) == found
    assert upgraded(today) == today


@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"_target_": AG2VID, "frames": False, "ngf": 4, "layout": "rnn"}, {"frames": None, "layout": {"name": "rnn"}}),
        ({"_target_": AG2VID, "discriminator": False, "adversarial": "hinge"}, {"discriminator": None}),
        # what was read beside other settings alone
        ({"_target_": AG2VID, "frames_truncate": 2, "previous": "given"}, {"frames": {"previous": "given"}}),
        ({"_target_": AG2VID, "layout": "copy", "layout_beta": 0.0}, {"layout": {"name": "copy"}}),
        ({"_target_": KINETIC_GAN, "schedule": "run", "batches_per_epoch": 7}, {}),
        ({"_target_": KINETIC_GAN, "schedule": "epoch", "batches_per_epoch": 7}, {"restart_every": 7}),
        ({"_target_": SA_GCN, "kept": 0, "frames": 8}, {"graph": {"kept": 0}, "frame_critic": {"frames": 8}}),
        # of losses and networks that there are not, in files of any age
        (
            {
                "_target_": AG2VID,
                "frames": None,
                "discriminator": {"width": 4},
                "weights": {"flow": 3.0, "layout": 2.0},
            },
            {"frames": None, "discriminator": None, "weights": {"layout": 2.0}},
        ),
        (
            {"_target_": AG2VID, "discriminator": None, "weights": {"adversarial": 3.0, "perceptual": 2.0}},
            {"discriminator": None, "weights": {"perceptual": 2.0}},
        ),
        (
            {"_target_": AG2VID, "frames": {"perceptual": "none"}, "weights": {"flow": 3.0, "perceptual": 2.0}},
            {"frames": {"perceptual": "none"}, "weights": {"flow": 3.0}},
        ),
        (
            {"_target_": AG2VID, "layout": {"name": "rule"}, "weights": {"layout": 2.0}},
            {"layout": {"name": "rule"}, "weights": {}},
        ),
        # nowhere to go, or there already: left for the check of settings
        ({"_target_": SA_GCN, "kept": 0, "graph": {"kept": 3}}, {"graph": {"kept": 3}, "kept": 0}),
        ({"_target_": AG2VID, "frames": 3, "ngf": 4}, {"frames": 3, "ngf": 4}),
        ({"_target_": "torch.optim.Adam", "frames": False}, {"frames": False}),
    ],
)
def test_old_choices_keep_their_meaning(flat: dict[str, Any], nested: dict[str, Any]) -> None:
    assert upgraded(flat) == {"_target_": flat["_target_"], **nested}


def test_every_old_setting_leads_to_one_of_today() -> None:
    for target, places in SETTINGS.items():
        for place in places.values():
            kinds: Any = annotations(locate(target, "model"))
            for key in place.split("."):
                inner = kinds[key]
                kinds = get_type_hints(found) if (found := settings_class(inner)) is not None else {}
