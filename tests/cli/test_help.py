"""``--help`` explains every setting, ``--version`` answers, and nobody has to read to the end."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import hydra
import pytest
from omegaconf import OmegaConf
from patience import patience

from mutoscope.cli import main as cli
from mutoscope.cli.help import _comments_of_choices, explained, help_text
from mutoscope.config.assembly import model_class
from mutoscope.config.choices import choices, config_dir
from mutoscope.data.registry import datamodule_class
from mutoscope.runtime.docstrings import arguments


@contextmanager
def composed(verb: str, *overrides: str) -> Iterator[object]:
    cli.register()
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        yield hydra.compose(verb, list(overrides), return_hydra_config=True)


def fitting() -> list[list[str]]:
    files = {model: OmegaConf.load(config_dir() / "model" / f"{model}.yaml") for model in choices("model")}
    takes = {model: model_class(file.get("model", file)).takes for model, file in files.items()}
    yields = {dataset: datamodule_class(dataset).kind for dataset in choices("dataset")}
    return [
        [f"model={model}", f"dataset={dataset}"]
        for model, dataset in itertools.product(takes, yields)
        if takes[model] == yields[dataset]
    ]


def together(*groups: str) -> list[list[str]]:
    """Every choice of groups that do not depend on one another, one of each at a time."""
    rows = itertools.zip_longest(*([f"{group}={choice}" for choice in choices(group)] for group in groups))
    return [[choice for choice in row if choice is not None] for row in rows]


@pytest.mark.parametrize(
    ("verb", "overrides"),
    [
        *(("train", chosen) for chosen in fitting()),
        *(("train", [f"experiment={choice}"]) for choice in choices("experiment")),
        *(("train", chosen) for chosen in together("logger", "trainer", "callbacks", "recognizer", "metrics")),
        ("evaluate", []),
        ("evaluate", ["metrics=action_graph", "recognizer=tracks", "dataset=cater"]),
        ("generate", []),
        ("export", []),
    ],
)
def test_every_setting_has_its_phrase(verb: str, overrides: list[str]) -> None:
    with composed(verb, *overrides) as cfg:
        found = list(explained(cfg, _comments_of_choices(verb, cfg)))  # type: ignore[arg-type]
    assert found
    bare = [place for place, _, phrase in found if not phrase and not place.endswith(("_partial_", "_preset_"))]
    assert not bare
    assert not [place for place, _, phrase in found if phrase.startswith("see ") or ":class:" in phrase]


def test_the_help_shows_groups_values_and_phrases_soon() -> None:
    cli.register()
    began = time.monotonic()
    text = help_text("train", ["model=sa_gcn", "dataset=human36m", "trainer.max_steps=7"])
    assert time.monotonic() - began < patience(5)
    lines = text.splitlines()
    assert (
        "model: ag2vid, clip_recognizer, glass, kinetic_gan, movement_recognizer, recognizer, sa_gcn, track_classifier"
        in lines
    )
    (steps,) = [line for line in lines if line.startswith("trainer.max_steps=7 ")]
    assert steps.endswith("iterations, one mini-batch each")
    (heads,) = [line for line in lines if line.startswith("model.generator.heads=3 ")]
    assert heads.endswith("of both attention layers")
    assert "None" not in text
    assert "$" not in text.replace("${", "")


@pytest.mark.parametrize("verb", ["train", "evaluate", "generate", "export"])
def test_the_help_of_every_verb_has_its_settings_and_its_groups_alone(verb: str) -> None:
    cli.register()
    lines = help_text(verb, []).splitlines()
    (seed,) = [line for line in lines if line.startswith("seed=")]
    assert seed.partition("  ")[2].strip()
    recipes = [line for line in lines if line.startswith("experiment: ")]
    assert len(recipes) == (verb == "train")
    assert not any("_glass_minutes" in line for line in recipes)


def test_arguments_of_docstrings_are_told_apart() -> None:
    docstring = """Do it.

    Args:
        one: the first,
            which goes on: like this.
        two, three: ``None`` leaves them.

    Returns:
        four: no argument.
    """
    assert arguments(docstring) == {
        "one": "the first, which goes on: like this.",
        "two": "``None`` leaves them.",
        "three": "``None`` leaves them.",
    }


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--version"]])
def test_the_version_is_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mutoscope", *arguments])
    cli.main()
    assert capsys.readouterr().out.startswith("mutoscope 0.")


def test_help_for_a_mistake_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--help", "modle=x"])
    with pytest.raises(SystemExit):
        cli.main("train")
    assert "did you mean 'model'?" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error() -> None:
    # in a process of its own: what closes is the process's standard output
    code = "import sys; sys.argv = ['train.py', '--help']; from mutoscope.cli.main import main; main('train')"
    read, write = os.pipe()
    os.close(read)
    try:
        finished = subprocess.run(
            [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False, timeout=patience(60)
        )
    finally:
        os.close(write)
    assert finished.returncode == 0
    assert finished.stderr == b""
