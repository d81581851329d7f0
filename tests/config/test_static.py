"""What is read from sources says of every setting what importing it says, and sooner."""

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from patience import patience

from mutoscope.config.nodes import check_config, choices, fitted
from mutoscope.config.static import check_statically, parameters_of
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.train import KEYS

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
    check_config(fitted(config), KEYS)


def mistakes(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Copies of a config with one mistake each, in every setting of every node."""
    for i, node in enumerate([*nodes(config), config["dataset"]]):
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
    count = 0
    for place, wrong in mistakes(config):
        said = complaint(in_full, wrong)
        if said is not None and not said.startswith("optimizers"):
            count += said == complaint(check_statically, wrong)
            assert complaint(check_statically, wrong) in (said, None), place
            # only what is built of other packages' classes is left to importing
            if NO_NAME in said:
                assert complaint(check_statically, wrong) == said, place
        else:
            assert complaint(check_statically, wrong) is None, place
    assert count > 40


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
    (["train", "trainer.max_steps=1.5"], "trainer.max_steps is 1.5, expected a whole number."),
    (["evaluate", "checkpoint=absent"], "There is no checkpoint at absent."),
    (["evaluate", "checkpoint=[absent,b]"], "There is no checkpoint at absent."),
    (["generate", "checkpoint=absent"], "There is no checkpoint at absent."),
    (["generate", "checkpoint=absent", "seed=1.5"], "seed is 1.5, expected a whole number."),
    (["export", "checkpoint=absent", "out=x"], "There is no checkpoint at absent."),
]
HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "torchvision", "scipy")
SCRIPT = """
import contextlib, io, json, sys
from mutoscope.cli.main import main

said = []
for typed, _ in json.loads(sys.argv[1]):
    sys.argv = ["mutoscope", *typed]
    with contextlib.redirect_stderr(io.StringIO()) as stream, contextlib.suppress(SystemExit):
        main()
    said.append(stream.getvalue())
print(json.dumps([said, [name for name in %r if name in sys.modules]]))
"""


def test_mistakes_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    # in a process of its own, one for all: here torch is imported already
    command = [sys.executable, "-c", SCRIPT % (HEAVY,), json.dumps(MISTAKES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=patience(60))
    said, imported = json.loads(done.stdout)
    for (typed, message), found in zip(MISTAKES, said, strict=True):
        assert found.startswith(f"error: {message}"), typed
        assert found.count("\n") == 1
    assert imported == []
    assert list(tmp_path.iterdir()) == []


def test_pairs_of_models_and_data_pass(compose: Compose) -> None:
    for model, dataset in itertools.chain(
        itertools.product(("kinetic_gan", "sa_gcn", "recognizer"), MOTION), (("ag2vid", name) for name in VIDEO)
    ):
        needed = ["dataset.root=here"] if not dataset.startswith("toy") else []
        check_statically(compose(f"model={model}", f"dataset={dataset}", *needed))
