"""What people type is read as it is meant, or answered with a sentence that says how to type it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mutoscope.cli import main as cli
from mutoscope.cli.composed import compose
from mutoscope.cli.typed import readable, typed_values
from mutoscope.config.choices import load_choice, with_groups
from mutoscope.config.nodes import check_groups
from mutoscope.config.presets import preset_of, with_presets
from mutoscope.config.training import TrainConfig
from mutoscope.kinds.command import typed_words
from mutoscope.runtime.errors import ConfigError

AWKWARD = [
    "runs/epoch=3-step=10.ckpt",
    "/home/rené/last.ckpt",
    "/data/run (2)/cmu",
    "[2024] x/a.ckpt",
    "a&b#c;d!.ckpt",
    "a+b c.ckpt",
    "it's.ckpt",
    "both \"' of them.ckpt",
    "~/x.ckpt",
    "C:\\x\\",
    "x\\'y",
    "走る",
    "[a,b",
    "x(1)",
    "<a>",
    " a ",
]


def value(argument: str) -> Any:
    """What Hydra reads."""
    return OverridesParser.create().parse_override(readable([argument])[0][0]).value()


@pytest.mark.parametrize("text", [*AWKWARD, "1e4", "007", "true", "a,b", "glob(*)", "1_000"])
@pytest.mark.parametrize("key", ["checkpoint", "dataset.root", "ckpt", "+out", "++dataset.cache_dir", "dataset.sheets"])
def test_paths_are_text_whatever_they_look_like(key: str, text: str) -> None:
    assert value(f"{key}={text}") == text


@pytest.mark.parametrize("text", [text for text in AWKWARD if text not in ("C:\\x\\", " a ")])
def test_names_are_text_where_nothing_else_can_be_meant(text: str) -> None:
    assert value(f"label={text}") == text


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("label=[走る,walk,touch head (headache)]", ["走る", "walk", "touch head (headache)"]),
        ("label='touch head (headache)'", "touch head (headache)"),
        ("checkpoint=null", None),
        ("beside=[a=1.ckpt,b é.ckpt]", ["a=1.ckpt", "b é.ckpt"]),
        ("beside={one: a=1.ckpt, two: 'b c.ckpt'}", {"one": "a=1.ckpt", "two": "b c.ckpt"}),
        ("model.widths=[16,8]", [16, 8]),
        ("mix={walk: 0.5, wave: 0.5}", {"walk": 0.5, "wave": 0.5}),
        ("prompt=[a.yaml,b.yaml]", ["a.yaml", "b.yaml"]),
        ("trainer.max_steps=1e4", 1e4),
        ("out=${name}/x", "${name}/x"),
    ],
)
def test_lists_mappings_and_numbers_stay_what_they_are(argument: str, expected: Any) -> None:
    assert value(argument) == expected


def test_names_of_other_scripts_in_mappings_pass_beside_hydra() -> None:
    arguments, beyond = readable(["mix={走る: 0.5, touch head (headache): 0.5}", "n=2"])
    assert arguments == ["mix=null", "n=2"]
    assert beyond == {"mix": {"走る": 0.5, "touch head (headache)": 0.5}}


def test_a_sweep_keeps_its_alternatives() -> None:
    sweep, _ = readable(["ckpt=a.ckpt,b.ckpt", "model.latent=2,oops", "-m", "note=é,è"], sweep=True)
    assert sweep == ["ckpt=a.ckpt,b.ckpt", "model.latent=2,oops", "-m", "note='é','è'"]


@pytest.mark.parametrize("argument", ["model.weights={走る: 1}", "mix={走る: @, b: 1}"])
def test_what_cannot_be_meant_says_how_to_quote_it(argument: str) -> None:
    key, _, text = argument.partition("=")
    with pytest.raises(ConfigError) as raised:
        readable([argument])
    assert str(raised.value).startswith(f"{key} is '{text}', which cannot be read; put it in quotes")
    assert f"""\"{key}='{text}'\".""" in str(raised.value)


def test_typed_settings_of_a_group_are_found_with_their_kinds() -> None:
    overrides = [
        "dataset=cmu_mocap",
        "++dataset.root='/data/run (2)/é'",
        "dataset.length=16",
        "seed=1",
        "+dataset.a.b=x",
    ]
    assert typed_values(overrides, "dataset") == {
        "": "cmu_mocap",
        "root": "/data/run (2)/é",
        "length": 16,
        "a": {"b": "x"},
    }


PRESETS = [
    ["+metrics.fid=standard/fid", "metrics.fid.ddof=0"],
    ["metrics.fid.ddof=0", "+metrics.fid=standard/fid"],
    ["+metrics.fid=standard/fid", "+metrics.fid.ddof=0"],
    ["++metrics.fid='standard/fid'", "seed=1", "++metrics.fid.ddof=0"],
    ["+preset@metrics.fid=standard/fid", "metrics.fid.ddof=0"],
    ["metrics=clips", "metrics.fid=standard/fid", "metrics.fid.ddof=0"],
]


@pytest.mark.parametrize("arguments", PRESETS, ids=" ".join)
def test_a_preset_takes_settings_of_the_same_command(arguments: list[str]) -> None:
    config, _ = compose("train", arguments)
    fid = config["metrics"]["fid"]
    assert fid == {**load_choice("preset", "standard/fid"), "ddof": 0}
    assert preset_of(fid) == "standard/fid with ddof=0"


def test_no_callbacks_leave_nothing_of_what_a_recipe_sets_of_them() -> None:
    recipe, _ = compose("train", ["experiment=quickstart"])
    assert recipe["callbacks"]["media"]["every_n_steps"]
    config, _ = compose("train", ["experiment=quickstart", "callbacks=none"])
    assert config["callbacks"] == {}
    check_groups(config)
    # what was typed oneself is of something, or a mistake
    config, _ = compose("train", ["experiment=quickstart", "callbacks=none", "callbacks.media.every_n_steps=5"])
    with pytest.raises(ConfigError, match=r"callbacks\.media is"):
        check_groups(config)


def test_a_preset_in_the_place_of_another_metric_has_nothing_of_it() -> None:
    others = load_choice("metrics", "clips")
    arguments = ["metrics=clips", "metrics.fvd=standard/psnr", "metrics.fid=standard/kid", "metrics.kid.subsets=7"]
    config, _ = compose("train", [*arguments, "metrics.fid.subset_size=9"])
    kid = load_choice("preset", "standard/kid")
    changed = {"fvd": load_choice("preset", "standard/psnr"), "fid": {**kid, "subset_size": 9}}
    assert config["metrics"] == {**others, **changed, "kid": {**others["kid"], "subsets": 7}}


def test_presets_with_settings_are_repeated_as_they_were_typed() -> None:
    typed = typed_values(readable(["++metrics.fid=standard/fid", "++metrics.fid.ddof=0"])[0], "metrics")
    again = typed_words("metrics", typed)
    assert again == ["metrics.fid._preset_=standard/fid", "metrics.fid.ddof=0"]
    assert typed_values(again, "metrics") == typed
    # over what the model's kind chooses, a metric of the same name included
    for name in ("fid", "motion_fid"):
        asked = {"metrics": {name: typed["fid"]}}
        expected = {**load_choice("metrics", "motion"), name: {**load_choice("preset", "standard/fid"), "ddof": 0}}
        assert with_presets(with_groups({}, {"metrics": "motion"}, asked))["metrics"] == expected
        filled = with_presets(asked)
        assert with_presets(with_groups(filled, {"metrics": "motion"}, asked))["metrics"] == expected


def test_alternatives_of_presets_stay_alternatives() -> None:
    sweep, _ = readable(["+metrics.d=standard/fid,standard/kid", "metrics.d.weights=w", "-m"], sweep=True)
    assert sweep == ["+metrics.d=null", "++metrics.d._preset_=standard/fid,standard/kid", "++metrics.d.weights=w", "-m"]


def run(verb: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", [f"{verb}.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main(verb)
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("train", ["max_steps=100"], "'max_steps' is no setting of this command; did you mean trainer.max_steps?"),
        ("train", ["lr=1e-4"], "mean model.optimizers.critic.lr or model.optimizers.generator.lr?"),
        ("train", ["batch_size=8"], "did you mean dataset.batch_size?"),
        ("train", ["model.lr=1"], "did you mean model.optimizers.critic.lr or"),
        ("train", ["latnt=8"], "did you mean model.latent?"),
        ("evaluate", ["checkpoint=x", "max_step=8"], "did you mean recognizer.max_steps?"),
        (
            "train",
            ["metrics.fid=standard/fid"],
            "'metrics.fid' is no metric here; those of this command are motion_fid, ",
        ),
        ("train", ["metrics.fid.ddof=0"], "To add one, put + before it: +metrics.fid=<preset>."),
        ("train", ["metrics=none", "metrics.fid=standard/fid"], "is no metric here; this command has none. To add"),
        (
            "train",
            ["metrics.motion_fdi=null"],
            "'metrics.motion_fdi' is no setting of metrics; did you mean 'motion_fid'?",
        ),
        ("train", ["+metrics.fid=standard/fidd", "metrics.fid.ddof=0"], "is no preset; did you mean 'standard/fid'?"),
        (
            "train",
            ["+metrics.fid=true", "metrics.fid.ddof=0"],
            "metrics.fid is 'True', which is no preset; did you mean",
        ),
        (
            "train",
            ["+preset@metrics.fid=standard/fidd"],
            "There is no preset 'standard/fidd'; did you mean 'standard/fid'?",
        ),
        ("train", ["preset@metrics.fid=standard/fid"], "Nothing is chosen for preset@metrics.fid that another choice"),
        (
            "train",
            ["+metrics.fid=standard/fid", "metrics.fid.dof=0"],
            "metrics.fid.dof is not a setting of FID; did you mean",
        ),
        (
            "train",
            ["+metrics.fid=standard/fid", "metrics.fid.ddof=x"],
            "metrics.fid.ddof is 'x', expected a whole number.",
        ),
        (
            "train",
            ["+metrics.fid=standard/fid", "metrics.fid.weights=gone"],
            "There is no file or folder gone, which metrics.fid.weights names",
        ),
        (
            "train",
            ["+metrics.motion_fid=standard/fid"],
            "metrics.motion_fid is there already, and + adds what is not; to set it anew leave the + out, "
            "metrics.motion_fid=<value>, or give the new one another name.",
        ),
        ("train", ["+metrics.accuracy=standard/fid", "metrics.accuracy.ddof=0"], "metrics.accuracy is there already"),
        (
            "train",
            ["+seed=3"],
            "seed is there already, and + adds what is not; to set it anew leave the + out, seed=<value>.",
        ),
        ("train", ["seed.first=3"], "'seed.first' is no setting: seed is a single value, null or without settings."),
        (
            "evaluate",
            ["real=.", "fake=.", "metrics.fid=standard/fid", "metrics.fid.dof=0"],
            "metrics.fid.dof is not a sett",
        ),
        ("train", ["trainer.max_steps=1.5"], "trainer.max_steps is 1.5, expected a whole number."),
        ("train", ["model.latent=oops"], "model.latent is 'oops', expected a whole number."),
        ("train", ["model.widths=[16,a]"], "model.widths[1] is 'a', expected a whole number."),
        ("train", ["model.use_skip=3"], "model.use_skip is 3, expected true or false."),
        (
            "train",
            ["model.critic_streams=[jonts]"],
            "model.critic_streams[0] is 'jonts', expected joints, bones or velocities.",
        ),
        ("train", ["dataset.batch_size=many"], "dataset.batch_size is 'many', expected a whole number."),
        (
            "train",
            ["metrics=action_graph"],
            "choices of metrics for them: kinetic_gan, motion",
        ),
        ("train", ["recognizer=tracks"], "looks at action_graph data, but the model makes motion; choices of recog"),
        (
            "train",
            ["model=ag2vid", "dataset=toy_blocks", "metrics=motion", "model.frames.perceptual=none"],
            "metrics.motion_fid measures joints, label, real, which action_graph data do not have; choices of metrics",
        ),
        ("generate", ["checkpoint=runs/epoch=3-step=10.ckpt"], "There is no checkpoint at runs/epoch=3-step=10.ckpt."),
        ("generate", ["checkpoint=/home/rené [2]/last.ckpt"], "There is no checkpoint at /home/rené [2]/last.ckpt."),
        ("generate", ["checkpoint=x", "seed=1.5"], "seed is 1.5, expected a whole number."),
        ("evaluate", ["checkpoint=x(1).ckpt", "out=a=b"], "There is no checkpoint at x(1).ckpt."),
        ("train", ["hydra.run.dir=a (b)/c=d", "model.latent=oops"], "expected a whole number"),
    ],
)
def test_mistakes_are_answered_where_they_are_made_and_leave_nothing(
    verb: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(verb, arguments, monkeypatch) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert run("train", ["hydra.run.dir=mine/run", "model.latent=oops"], monkeypatch) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_whole_floats_are_whole_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Mapping[str, Any]] = []
    monkeypatch.setattr(
        "mutoscope.verbs.train.train", lambda config, run_dir: seen.append(TrainConfig.parse(config).resolved)
    )
    typed = ["trainer.max_steps=1e4", "measure.every_n_steps=2e3", "dataset.batch_size=8.0", "seed=3.0"]
    monkeypatch.setattr(sys, "argv", ["train.py", *typed, "recognizer.max_steps=1e2", "model.widths=[1e1,2,3,4,5]"])
    cli.main("train")
    (config,) = seen
    found = [
        config["trainer"]["max_steps"],
        config["measure"]["every_n_steps"],
        config["dataset"]["batch_size"],
        config["seed"],
        config["recognizer"]["max_steps"],
        config["model"]["widths"][0],
    ]
    assert found == [10_000, 2000, 8, 3, 100, 10]
    assert all(isinstance(number, int) for number in found)
