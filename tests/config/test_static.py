"""What is read from sources says of every setting what importing it says, and sooner."""

import copy
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from patience import patience
from places import ROOT, SUPPORT

from mutoscope.config.assembly import check_pair, model_class
from mutoscope.config.choices import choices, config_dir
from mutoscope.config.sources import class_value, parameters_of
from mutoscope.config.static import check_pair_statically, check_statically
from mutoscope.config.training import TrainConfig
from mutoscope.data.registry import datamodules
from mutoscope.runtime.errors import ConfigError

Compose = Callable[..., dict[str, Any]]
MOTION, VIDEO = ("toy_motion", "cmu_mocap", "human36m"), ("toy_blocks", "cater", "smthv2")
#: of no constructor, and of no type that a setting has
NO_NAME, NO_VALUE = "setting_of_nobody", {"neither": ["number", "nor"], "text": "nor list"}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Nodes of our own classes, those in them too."""
    if isinstance(node, dict):
        if str(node.get("_target_", "")).startswith("mutoscope."):
            yield node
        for value in node.values():
            yield from nodes(value)


def complaint(check: Callable[[dict[str, Any]], Any], config: dict[str, Any]) -> str | None:
    try:
        check(config)
    except ConfigError as error:
        return str(error)
    return None


def in_full(config: dict[str, Any]) -> None:
    TrainConfig.parse(config)


def mistakes(config: dict[str, Any], told: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Copies of a config with one mistake each, in every setting of every node but of those told already."""
    for i, node in enumerate([*nodes(config), config["dataset"]]):
        if node in told and node != config["model"]:
            continue
        plain = [key for key, value in node.items() if key not in ("_target_", "_partial_", "name")]
        for key in [NO_NAME, *plain]:
            wrong = copy.deepcopy(config)
            changed = [*nodes(wrong), wrong["dataset"]][i]
            changed[key] = NO_VALUE
            yield f"{node.get('_target_', 'dataset')}.{key}", wrong
        for key in plain:
            if isinstance(node[key], Mapping) and "_target_" not in node[key]:
                wrong = copy.deepcopy(config)
                [*nodes(wrong), wrong["dataset"]][i][key][NO_NAME] = 1
                yield f"{node.get('_target_', 'dataset')}.{key}.{NO_NAME}", wrong


@pytest.mark.parametrize("model", choices("model"))
def test_every_mistake_is_told_in_the_same_words(compose: Compose, model: str) -> None:
    kinds = {"ag2vid": "toy_blocks", "track_classifier": "toy_blocks", "glass": "wsprites"}
    config = compose(f"model={model}", f"dataset={kinds.get(model, 'toy_motion')}")
    assert complaint(check_statically, config) is None
    # trainer, loggers and callbacks are the same for all models: the default one's are looked at
    default = compose()
    same = [] if config["model"] == default["model"] else [*nodes(default), default["dataset"]]
    count = 0
    for place, wrong in mistakes(config, same):
        said, sooner = complaint(in_full, wrong), complaint(check_statically, wrong)
        if said is not None and not said.startswith("optimizers"):
            count += said == sooner
            assert sooner in (said, None), place
            # only what is built of other packages' classes is left to importing
            if NO_NAME in said:
                assert sooner == said, place
        else:
            assert sooner is None, place
    assert count > (5 if same else 40)


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_settings_of_datasets_are_told_in_the_same_words(compose: Compose, dataset: str) -> None:
    config = compose("model=recognizer", f"dataset={dataset}", "callbacks=none", "metrics=none", "logger=csv")
    told = 0
    for key in [NO_NAME, *config["dataset"]]:
        wrong = copy.deepcopy(config)
        if key != "name":
            wrong["dataset"][key] = NO_VALUE
            said = complaint(in_full, wrong)
            assert complaint(check_statically, wrong) == said
            told += said is not None
    assert told > 5


def test_what_sources_do_not_tell_is_left_to_importing() -> None:
    for target in ("torch.optim.Adam", "mutoscope.models.kinetic_gan.module.Absent", "mutoscope.absent.Absent"):
        with pytest.raises(LookupError):
            parameters_of(target)
    check_statically({"model": {"_target_": "somebody.elses.Model", "width": "x"}, "dataset": {"name": "theirs"}})
    check_statically({"model": {"_target_": 3}, "dataset": {"name": ["a"]}})


AG2VID = ("model=ag2vid", "dataset=toy_blocks")
#: mistakes on the command line, and the beginning of what is said
MISTAKES = [
    (["train", "+model.lerning_rate=1"], "model.lerning_rate is not a setting of KineticGAN; did you mean"),
    (["train", "model.ema_half_life=x"], "model.ema_half_life is 'x', expected a number."),
    (["train", "model=sa_gcn", "+model.graph.widht=1"], "model.graph.widht is not a setting of GraphSettings"),
    (["train", "model=nobody"], "There is no model 'nobody'"),
    (["train", "dataset.clips_per_class=abc"], "dataset.clips_per_class is 'abc', expected a whole number."),
    (["train", "dataset=human36m", "dataset.root=absent"], "There is no folder absent; expected a folder with cameras"),
    (["train", "dataset=cmu_mocap", "dataset.root=absent"], "There is no folder absent; expected a folder with index"),
    (["train", "model=ag2vid", "dataset=cater", "dataset.root=absent"], "There is no folder absent; expected the fol"),
    (
        ["train", "dataset=toy_blocks"],
        "KineticGAN takes motion data, but dataset 'toy_blocks' yields action_graph; dat",
    ),
    (["train", "model=glass", "dataset=toy_motion"], "Glass takes video data, but dataset 'toy_motion' yields motion;"),
    (
        ["train", *AG2VID, "model.frames.perceptual_weights=absent"],
        "There is no file absent",
    ),
    (["train", *AG2VID, "model.frames.perceptual=squeezenet"], "There is no squeezenet1_1-b8a52dc0.pth in "),
    (["train", "model=glass", "dataset=wsprites"], "There is no vgg19-dcbb9e9d.pth in "),
    (
        ["train", *AG2VID, "model.frames=null", "model.discriminator.scales=3"],
        "model.discriminator.scales is 3, but model.frames=null makes no frames",
    ),
    (
        ["train", *AG2VID, "model.frames=null", "model.weights.flow=10"],
        "model.weights.flow is 10, but model.frames=null makes no frames",
    ),
    (
        ["train", "experiment=ag2vid_flow", "dataset=toy_blocks", "model.frames.spade.width=64"],
        "model.frames.spade.width is 64, but nothing is drawn where no loss would teach it: model.discriminator=null",
    ),
    (
        ["train", "experiment=ag2vid_flow", "dataset=toy_blocks", "model.optimizers.discriminator.lr=1e-3"],
        "model.optimizers.discriminator.lr is 0.001, but model.discriminator=null",
    ),
    (
        ["train", *AG2VID, "model.layout.name=rule", "model.weights.layout=2", "model.frames.perceptual=none"],
        "model.weights.layout is 2, but model.layout.name=rule does not learn",
    ),
    (
        ["train", "model=glass", "dataset=wsprites", "model.perceptual=none", "model.local_weights.vgg=3"],
        "model.local_weights.vgg is 3, but model.perceptual=none",
    ),
    (["train", "trainer.max_steps=1.5"], "trainer.max_steps is 1.5, expected a whole number."),
    (["evaluate", "checkpoint=absent"], "There is no checkpoint at absent."),
    (["evaluate", "checkpoint=[absent,b]"], "There is no checkpoint at absent."),
    (["generate", "checkpoint=absent"], "There is no checkpoint at absent."),
    (["generate", "checkpoint=absent", "seed=1.5"], "seed is 1.5, expected a whole number."),
    (["export", "checkpoint=absent", "out=x"], "There is no checkpoint at absent."),
    (["export", "checkpoint=absent", "out=x", "format=glass"], "There is no checkpoint at absent."),
    (["train", "ckpt=absent"], "There is no checkpoint at absent."),
    (
        ["train", "model=glass", "dataset=wsprites", "model.perceptual=none", "dataset.sheets=absent"],
        "There is no file or folder absent, which dataset.sheets names",
    ),
    (["evaluate", "real=absent", "fake=absent"], "There is no file or folder absent, which real names"),
    (["evaluate", "real=absent"], "Clips are held against real ones"),
    (["evaluate", "checkpoint=."], ". is a folder without config.json and model.safetensors"),
    (
        ["evaluate", "checkpoint=exported", "beside={a: absent}"],
        "There is no file or folder absent, which beside.a names",
    ),
    (["generate", "checkpoint=exported", "image=absent"], "There is no file or folder absent, which image names"),
]
HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "torchvision", "scipy")
SCRIPT = """
import contextlib, io, json, sys
from composed_once import configs_composed_once
from mutoscope.cli.main import main

said = []
with configs_composed_once():
    for typed, _ in json.loads(sys.argv[1]):
        sys.argv = ["mutoscope", *typed]
        with contextlib.redirect_stderr(io.StringIO()) as stream, contextlib.suppress(SystemExit):
            main()
        said.append(stream.getvalue())
print(json.dumps([said, [name for name in %r if name in sys.modules]]))
"""


def test_mistakes_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    # looks like a model as far as is looked at so early
    exported = tmp_path / "exported"
    exported.mkdir()
    for name in ("config.json", "model.safetensors"):
        (exported / name).touch()
    # in a process of its own, one for all: here torch is imported already
    command = [sys.executable, "-c", SCRIPT % (HEAVY,), json.dumps(MISTAKES)]
    # no weights lie here
    paths = os.pathsep.join(map(str, (ROOT / "src", SUPPORT)))
    environment = {**os.environ, "TORCH_HOME": str(tmp_path / "nowhere"), "PYTHONPATH": paths}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=patience(60)
    )
    said, imported = json.loads(done.stdout)
    for (typed, message), found in zip(MISTAKES, said, strict=True):
        assert found.startswith(f"error: {message}"), typed
        assert found.count("\n") == 1
    assert imported == []
    assert list(tmp_path.iterdir()) == [exported]


def test_pairs_of_models_and_data_pass(compose: Compose) -> None:
    for model, dataset in itertools.chain(
        itertools.product(("kinetic_gan", "sa_gcn", "recognizer"), MOTION), (("ag2vid", name) for name in VIDEO)
    ):
        needed = ["dataset.root=here"] if not dataset.startswith("toy") else []
        check_statically(compose(f"model={model}", f"dataset={dataset}", *needed))


@pytest.mark.parametrize("model", choices("model"))
def test_kinds_that_do_not_fit_are_told_in_the_same_words(model: str) -> None:
    found = re.search(
        r"^ *_target_: (mutoscope\S+)$", (config_dir() / "model" / f"{model}.yaml").read_text(), re.MULTILINE
    )
    assert found is not None
    node = {"_target_": found[1]}
    for name in datamodules():
        told = [said(check, node, {"name": name}) for check in (check_pair, check_pair_statically)]
        assert told[0] == told[1]
        assert (told[0] is None) == (model_class(node).takes == datamodules()[name].kind)


def said(check: Callable[[dict[str, Any], dict[str, Any]], None], model: Any, dataset: Any) -> str | None:
    try:
        check(model, dataset)
    except ConfigError as error:
        return str(error)
    return None


def test_kinds_that_sources_do_not_tell_are_left_to_importing() -> None:
    for model, dataset in (("somebody.elses.Model", "toy_motion"), ("mutoscope.models.ag2vid.module.AG2Vid", "theirs")):
        check_pair_statically({"_target_": model}, {"name": dataset})
    assert class_value("mutoscope.data.action_graph.toy_blocks.ToyBlocks", "kind") == "action_graph"
    # said in the base, given by nobody
    for name in ("takes", "absent"):
        with pytest.raises(LookupError):
            class_value("mutoscope.models.base.IterationModule", name)
