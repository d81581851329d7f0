"""Every choice of the configs is one that works; everything else stops with a sentence before anything runs."""

import itertools
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import cater_tree
import cmu_mocap_tree
import human36m_tree
import pvg_tree
import pytest
import written_videos
from something_tree import write_something_tree

from mutoscope.cli import main as cli
from mutoscope.cli.typed import typed_values
from mutoscope.config import nodes
from mutoscope.config.assembly import check_pair, model_class, prepared
from mutoscope.config.choices import config_dir
from mutoscope.config.commands import EvaluateConfig, ExportConfig, GenerateConfig
from mutoscope.config.nodes import Node, build, build_dataset, check_config, plain, settings_from
from mutoscope.config.signatures import annotations, needed, parameters
from mutoscope.config.targets import locate
from mutoscope.config.training import KEYS, TrainConfig
from mutoscope.data import registry
from mutoscope.data.datamodule import DataModule
from mutoscope.kinds.settings import names_of
from mutoscope.models.base import IterationModule
from mutoscope.models.kinetic_gan.module import KineticGAN
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.trainer import check_trainer
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


def choices(group: str) -> list[str]:
    """What can be chosen of a group, from the files."""
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml") if not path.stem.startswith("_"))


#: enough of every dataset to be set up
SMALL = {
    "toy_motion": ["dataset.clips_per_class=2", "dataset.val_clips_per_class=1"],
    "cmu_mocap": ["dataset.length=16"],
    "human36m": ["dataset.length=16", "dataset.skip=10", "dataset.train_subjects=[1,5]"],
    "cater": [],
    "smthv2": ["dataset.mapping=mapping.json"],
    "toy_blocks": ["dataset.videos=1", "dataset.val_videos=1", "dataset.test_videos=1"],
    "wsprites": ["dataset.characters=1", "dataset.videos=1"],
    "video_folder": [],
    **{name: ["dataset.val_length=5"] for name in ("pvg", "tennis", "bair")},
}


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up ASF/AMC tree."""
    return cmu_mocap_tree.write_tree(tmp_path_factory.mktemp("mocap") / "tree")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up Human3.6M tree."""
    return human36m_tree.write_tree(tmp_path_factory.mktemp("filmed") / "tree")


@pytest.fixture(scope="module")
def solids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up CATER tree."""
    return cater_tree.write_tree(tmp_path_factory.mktemp("solids") / "max2action")


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up Something-Something tree."""
    return write_something_tree(tmp_path_factory.mktemp("hands") / "root")


@pytest.fixture(scope="module")
def own_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two videos."""
    return written_videos.write_folder(tmp_path_factory.mktemp("own") / "videos")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up tree of Playable Video Generation."""
    return pvg_tree.write_tree(tmp_path_factory.mktemp("pvg") / "root", frames=60)


@pytest.fixture
def small(
    mocap: Path, filmed: Path, solids: Path, hands: Path, own_videos: Path, played: Path, blocks_cache: Path
) -> Callable[[str], list[str]]:
    """Overrides that make a dataset quick to set up."""
    roots = {"cmu_mocap": mocap, "human36m": filmed, "cater": solids, "smthv2": hands, "video_folder": own_videos}
    roots |= dict.fromkeys(("pvg", "tennis", "bair"), played)
    caches = {name: root.parent / "cache" for name, root in roots.items()} | {"toy_blocks": blocks_cache}

    def overrides(dataset: str) -> list[str]:
        root = [f"dataset.root={roots[dataset]}"] if dataset in roots else []
        cache = [f"dataset.cache_dir={caches[dataset]}"] if dataset in caches else []
        return [f"dataset={dataset}", *SMALL[dataset], *root, *cache]

    return overrides


#: widths of networks that take long to build
NARROW = {
    "mutoscope.models.ag2vid.module.AG2Vid": {
        **dict.fromkeys(("width", "graph_hidden", "frames.spade.hidden"), 8),
        **dict.fromkeys(("frames.spade.width", "frames.flow.width", "discriminator.width"), 4),
    },
    "mutoscope.models.glass.module.Glass": {
        **dict.fromkeys((f"global_motion.mask.{name}" for name in ("stem", "trunk", "up")), 8),
        **dict.fromkeys((f"local_motion.decoder.{name}" for name in ("quarter", "half", "full")), 8),
        "global_motion.mask.depth": 1,
    },
}
#: of every such model, the data on which it is built as large as it is
WHOLE = ("cater", "wsprites")


def narrowed(node: dict[str, Any]) -> dict[str, Any]:
    """The same model with narrow networks, as far as it has them."""
    for place, width in NARROW.get(node["_target_"], {}).items():
        *way, last = place.split(".")
        here: Any = node
        for part in way:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict) and last in here:
            here[last] = width
    return node


def instantiate(config: dict[str, Any]) -> IterationModule:
    """What ``train`` builds, short of training."""
    run = TrainConfig.parse(config)
    check_pair(run.model, run.dataset)
    check_trainer(run.trainer)
    data = prepared(run.dataset)
    model = build(run.model, "model", info=data.info)
    assert isinstance(model, IterationModule)
    model.configure_optimizers()
    return model


@pytest.mark.parametrize(
    ("model", "dataset", "experiment"),
    [
        *((m, d, None) for m, d in itertools.product(choices("model"), choices("dataset"))),
        *((None, None, e) for e in choices("experiment")),
    ],
)
def test_every_combination_is_built(
    compose: Compose, small: Callable[[str], list[str]], model: str | None, dataset: str | None, experiment: str | None
) -> None:
    if experiment is None:
        assert dataset is not None
        # what does not fit is refused before anything is built, whatever one needs on the other
        alone = compose(f"model={model}") | {"dataset": compose(*small(dataset))["dataset"]}
        if model_class(alone["model"]).takes != registry.datamodule_class(alone["dataset"]["name"]).kind:
            with pytest.raises(ConfigError, match="datasets that fit"):
                instantiate(alone)
            return
        config = compose(f"model={model}", *small(dataset))
    else:
        config = compose(f"experiment={experiment}")
        config["dataset"] |= typed_values(small(config["dataset"]["name"])[1:], "dataset")
    # every model is built once as large as it is
    if experiment is not None or dataset not in WHOLE:
        narrowed(config["model"])
    built = instantiate(config)
    assert built.info.name == config["dataset"]["name"]


@pytest.mark.parametrize(
    "choice",
    [
        f"{group}={name}"
        for group in ("trainer", "metrics", "callbacks", "logger", "recognizer")
        for name in choices(group)
    ],
)
def test_every_choice_composes_and_passes_the_checks(compose: Compose, choice: str) -> None:
    TrainConfig.parse(compose(choice))


@pytest.mark.parametrize("metrics", choices("metrics"))
def test_evaluate_generate_and_export_compose(compose: Compose, metrics: str) -> None:
    config = compose(
        "checkpoint=x", f"metrics={metrics}", "dataset=toy_motion", "samples_per_class=1e1", verb="evaluate"
    )
    asked = EvaluateConfig.parse(config, names_of("evaluate"))
    check_config({"metrics": asked.metrics}, ["metrics"])
    assert (asked.samples_per_class, asked.dataset == config["dataset"]) == (10, True)
    assert EvaluateConfig.parse(compose("checkpoint=x", verb="evaluate"), names_of("evaluate")).seed == 1234
    assert GenerateConfig.parse(compose("checkpoint=x", verb="generate"), names_of("generate")).out == "samples"
    assert ExportConfig.parse(compose("checkpoint=x", "out=y", verb="export")).original["length"] is None


def test_every_verb_takes_what_its_config_has(compose: Compose) -> None:
    """Defaults stand in YAML for people and in dataclasses for Python, and are the same."""
    needed = {"checkpoint": "x", "out": "y", "dataset": {}}
    for verb, cls in (("evaluate", EvaluateConfig), ("generate", GenerateConfig), ("export", ExportConfig)):
        names = {one.name: one for one in fields(cls)}
        config = compose("checkpoint=x", *(["out=y"] if verb == "export" else []), verb=verb)
        assert set(config) <= set(names)
        assert set(names) - set(config) <= {"options", "wishes", "dataset"}
        made = cls(**{key: value for key, value in needed.items() if key in names and names[key].default is MISSING})
        own = {key: value for key, value in config.items() if key not in (*needed, "original", "clips")}
        assert plain({key: getattr(made, key) for key in own}) == own


def test_what_one_model_needs_on_one_dataset_is_found_by_both_names(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "recognizer_toy_motion.yaml").write_text("# @package _global_\nmodel:\n  width: 7\n")
    path = f"hydra.searchpath=[file://{tmp_path}]"
    assert compose(path, "model=recognizer")["model"]["width"] == 7
    assert compose(path, "model=recognizer", "model.width=9")["model"]["width"] == 9
    assert compose(path, "model=recognizer", "dataset=cmu_mocap")["model"]["width"] == 32


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+model.latnt=3", r"model\.latnt is not a setting of KineticGAN; did you mean 'latent'\?"),
        ("+dataset.lenght=3", r"dataset\.lenght is not a setting of ToyMotion; did you mean 'length'\?"),
        ("+trainer.max_step=3", r"trainer\.max_step is not a setting of make_trainer; did you mean 'max_steps'\?"),
        ("+callbacks.media.every_n_step=3", r"callbacks\.media\.every_n_step is not .* did you mean 'every_n_steps'"),
        ("+metrics.motion_fid.dof=1", r"metrics\.motion_fid\.dof is not a setting of MotionFID; did you mean 'ddof'"),
        ("+model.optimizers.critic.learning_rate=1", r"critic\.learning_rate is not a setting of Adam"),
        ("+measure.every_steps=3", r"measure\.every_steps is not a setting of measure; did you mean 'every_n_steps'"),
        ("+recognizer.max_step=3", r"recognizer\.max_step is not a setting of recognizer; did you mean 'max_steps'"),
        ("+recognizer.model.widht=3", r"recognizer\.model\.widht is not a setting of Recognizer; did you mean 'width'"),
        ("+sed=3", r"^sed is not a setting here; did you mean 'seed'\?"),
        ("+trainer.run_dir=elsewhere", r"trainer\.run_dir is not a setting"),
        ("+metrics.speed=3", r"metrics\.speed is 3, expected a node with _target_, or null"),
        ("+callbacks.mine.every=3", r"callbacks\.mine is .*, expected a node with _target_"),
        ("measure=3", r"measure is '3', expected settings measure\.<key>=<value>"),
    ],
)
def test_unknown_settings_stop_everything_with_the_closest_name(
    compose: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(compose(override), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.latnt=3"], "'model.latnt' is no setting of model; did you mean 'latent'?"),
        (["+model.latnt=3"], "model.latnt is not a setting of KineticGAN; did you mean 'latent'?"),
        (["trainer.max_step=3"], "'trainer.max_step' is no setting of trainer; did you mean 'max_steps'?"),
        (["dataset=toy_moton"], "There is no dataset 'toy_moton'; did you mean 'toy_motion'?"),
        (["model=kinetic_gn"], "There is no model 'kinetic_gn'; did you mean 'kinetic_gan'?"),
        (["dataset=cmu_mocap"], "dataset.root"),
        (["trainer=cpu", "trainer.precision=16-mixed"], "16-mixed works on GPUs only"),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "hydra.run.dir=run", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main("train")
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os.system", "but only classes of .*mutoscope.* MUTOSCOPE_PLUGINS if you trust it"),
        ("builtins.eval", "but only classes of"),
        ("mutoscope.runtime.provenance.subprocess.run", "but only classes of"),
        ("mutoscope.runtime.provenance.os.system", "but only classes of"),
        ("mutoscope.verbs.train.train", "a function, but only classes of"),
        ("mutoscope.verbs.train", "a module, but only classes of"),
        ("mutoscope.training.trainer.Trainer", "but only classes of"),
        ("torch.hub.load", "but only classes of"),
        ("torch.optimal.Adam", "but only classes of"),
        ("torch.optim.Adm", "which cannot be imported"),
        (3, "but only classes of"),
    ],
)
def test_only_classes_of_permitted_packages_are_built(target: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\._target_ is '{target}', .*{message}"):
        build({"_target_": target}, "model")


def test_a_package_named_in_the_environment_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="but only classes of"):
        locate("fractions.Fraction", "x")
    monkeypatch.setenv("MUTOSCOPE_PLUGINS", "numbers, fractions")
    assert build({"_target_": "fractions.Fraction", "numerator": 3}, "x") == 3


def test_what_is_missing_is_named(compose: Compose) -> None:
    node = compose()["model"]
    del node["optimizers"]
    with pytest.raises(ConfigError, match=r"model needs model\.optimizers; .*KineticGAN cannot be built without it"):
        build(node, "model", info=None)


class Films(DataModule):
    """Yields video."""

    kind = "video"

    def __init__(self, *, root: str, batch_size: int = 2) -> None:
        super().__init__(batch_size=batch_size)
        self.root = root


def test_a_model_refuses_data_of_another_kind(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.datamodules()
    monkeypatch.setitem(registry._classes, "films", Films)
    config = compose()
    config["dataset"] = {"name": "films", "root": "x"}
    with pytest.raises(
        ConfigError,
        match="KineticGAN takes motion data, but dataset 'films' yields video; datasets that fit: cmu_mocap, human36m",
    ):
        train(config, tmp_path / "run")
    del config["dataset"]["root"]
    with pytest.raises(ConfigError, match=r"dataset=films needs dataset\.root=<value>; it has no default"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_dataset_lists_the_known(compose: Compose) -> None:
    config = compose()["dataset"] | {"name": "toy_moton"}
    with pytest.raises(ValueError, match=r"no dataset 'toy_moton'; known datasets: bair, cater, .* mean 'toy_motion'"):
        build_dataset(config)


def test_names_are_taken_once() -> None:
    # whoever else is registered
    registry.datamodules()
    with pytest.raises(ValueError, match=r"Dataset name 'toy_motion' is taken by .*ToyMotion; register .*Films under"):
        registry.register("toy_motion")(Films)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sync_batchnorm": True, "devices": 2, "accelerator": "cpu"}, "sync_batchnorm works on GPUs only"),
        ({"sync_batchnorm": "yes"}, "sync_batchnorm is 'yes', expected true, false or auto"),
    ],
)
def test_synchronised_statistics_need_gpus(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_trainer({"max_steps": 1, **settings})
    check_trainer({"max_steps": 1, **settings, "sync_batchnorm": "auto"})


def test_a_training_is_parsed_once_into_typed_settings(tiny: Compose) -> None:
    config = tiny("trainer.max_steps=7", "measure.seed=3", "note=hello")
    run = TrainConfig.parse(config)
    assert (run.note, run.measure.seed, run.pace.max_steps, run.moments) == ("hello", 3, 7, False)
    # nodes stay as they are: what they describe is built later, and once
    assert run.model == config["model"]
    assert run.resolved == config
    assert isinstance(run.model, Node)
    assert isinstance(run.model["optimizers"]["critic"], Node)
    assert set(KEYS) == set(config)
    for key, value, message in (
        ("moments", "yes", "moments is 'yes', expected true or false"),
        (
            "measure",
            {"every_n_steps": 1.5, "samples_per_class": 1, "seed": 0},
            "measure.every_n_steps is 1.5, expected",
        ),
        ("measure", {"every_n_steps": 1, "seed": 0}, "measure needs measure.samples_per_class="),
        ("sede", 3, "sede is not a setting here; did you mean 'seed'"),
    ):
        with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
            TrainConfig.parse({**config, key: value})


@dataclass(frozen=True)
class _Inner:
    widths: tuple[int, ...] = (1, 2)
    slope: float | None = None


@dataclass(frozen=True)
class _Outer:
    inner: _Inner
    other: _Inner | None = None
    name: str = "a"


def test_settings_nest_in_dataclasses() -> None:
    made = settings_from({"inner": {"widths": [3, 4e0], "slope": 1}, "other": {}}, _Outer, "model")
    assert made == _Outer(_Inner((3, 4), 1), _Inner())
    assert settings_from({"inner": {}, "other": None}, _Outer, "model") == _Outer(_Inner())
    for node, message in (
        ({}, r"model needs model\.inner=<value>"),
        ({"inner": {"wdths": [1]}}, r"model\.inner\.wdths is not a setting of _Inner; did you mean 'widths'"),
        ({"inner": {"widths": [1.5]}}, r"model\.inner\.widths\[0\] is 1.5, expected a whole number"),
        ({"inner": {}, "other": False}, r"model\.other is false, expected settings .*; null leaves it out"),
        ({"inner": None}, r"model\.inner is null, expected settings"),
        ({"inner": {"_target_": "torch.nn.Linear"}}, r"model\.inner\._target_ is not a setting of _Inner"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings_from(node, _Outer, "model")


def test_shared_settings_are_spelled_out_with_the_defaults_of_their_base() -> None:
    taken = parameters(KineticGAN)
    assert (taken["clip_norm"].default, taken["micro_batches"].default, taken["seed"].default) == (None, 1, 0)
    assert "optimizers" in needed(KineticGAN)
    assert annotations(KineticGAN)["micro_batches"] is int
    assert "training" not in taken


def test_the_small_and_the_shared_are_checked_alike(tiny: Compose) -> None:
    for override, message in (
        ("+model.micro_batchs=2", "model.micro_batchs is not a setting of KineticGAN; did you mean 'micro_batches'"),
        ("model.micro_batches=two", "model.micro_batches is 'two', expected a whole number"),
    ):
        with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
            TrainConfig.parse(tiny(override))


def test_nodes_are_compared_with_the_code_once(tiny: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainConfig.parse(tiny("model.ema_half_life=1e3", "trainer.max_steps=2e1"))
    assert (run.pace.max_steps, type(run.pace.max_steps)) == (20, int)
    assert type(run.resolved["trainer"]["max_steps"]) is int

    def again(*_: Any) -> Any:
        raise AssertionError("compared again")

    monkeypatch.setattr(nodes, "_fit_settings", again)
    monkeypatch.setattr(nodes, "_check_keys", again)
    data = prepared(run.dataset)
    made = build(run.model, "model", info=data.info)
    assert isinstance(made, KineticGAN)
    with pytest.raises(AssertionError, match="compared again"):
        build(dict(run.model), "model", info=data.info)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"_target_": "ReduceLROnPlateau"}, r"which waits until a number stops falling.*such as StepLR"),
        ({"_target_": "SequentialLR", "schedulers": [], "milestones": []}, "which is made of other schedules"),
        ({"_target_": "LambdaLR", "lr_lambda": "lambda step: 1"}, "which asks for a function"),
        ({"_target_": "StepLR"}, r"model\.schedulers\.critic needs model\.schedulers\.critic\.step_size=<value>"),
        ({"_target_": "MultiStepLR", "gamma": 0.1}, r"needs model\.schedulers\.critic\.milestones=<value>"),
    ],
)
def test_schedules_that_no_training_can_step_are_refused(tiny: Compose, schedule: dict[str, Any], message: str) -> None:
    config = tiny()
    node = {**schedule, "_partial_": True, "_target_": f"torch.optim.lr_scheduler.{schedule['_target_']}"}
    config["model"]["schedulers"] = {"critic": node}
    with pytest.raises(ConfigError, match=message):
        TrainConfig.parse(config)
