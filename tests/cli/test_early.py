"""Values that cannot work, whatever the model: told before torch is imported, in the words of later checks."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow import KINETIC_GAN, PEOPLE

from mutoscope.cli.early import check_early
from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.formats.missing import CheckpointError
from mutoscope.kinds.settings import check_chosen
from mutoscope.runtime.errors import ConfigError

Compose = Callable[..., dict[str, Any]]
MODEL, CLIPS = ("checkpoint={model}",), ("real={model}", "fake={model}")
EXPORT = ("out=o", *MODEL)
#: verb, what else is typed, what is wrong, and what is said of it
WRONG = [
    ("train", (), "seed=-1", r"seed is -1, expected a whole number from 0 to 4294967295\."),
    ("train", (), "weights=foo", r"weights is 'foo', expected fetch\."),
    ("train", (), "overwrite=3", r"overwrite is 3, expected true or false\."),
    ("train", (), "measure.every_n_steps=0", r"measure\.every_n_steps is 0, expected at least 1\."),
    ("train", (), "measure.samples_per_class=-1", r"measure\.samples_per_class is -1, expected at least 1\."),
    ("train", (), "trainer.accelerator=foo", r"trainer\.accelerator is 'foo', expected auto, cpu or gpu\."),
    ("train", (), "trainer.devices=x", r"trainer\.devices is x, expected a whole number or auto\."),
    ("train", (), "logger.csv=3", r"logger\.csv is 3, expected a node with _target_, or null to leave it out\."),
    (
        "train",
        (),
        "+metrics.mine.weights=null",
        r"metrics\.mine is .*, expected a node with _target_, or null to leave",
    ),
    ("train", (), "+foo=3", "foo is not a setting here; did you mean"),
    ("train", (), "recognizer.max_steps=x", r"recognizer\.max_steps is 'x', expected a whole number\."),
    ("evaluate", MODEL, "reference=foo", r"reference is 'foo', expected train or held_out\. reference: rows are held"),
    ("evaluate", MODEL, "truncation=x", r"truncation is 'x', expected a number\. truncation: psi"),
    ("evaluate", MODEL, "beside=[{model},{model}]", "beside lists the same checkpoint twice"),
    ("evaluate", MODEL, "seed=-1", r"seed is -1, expected a whole number from 0"),
    ("evaluate", MODEL, "seeds=[1,1]", r"seeds is '\[1, 1\]', expected different whole numbers, 0 or more"),
    ("evaluate", MODEL, "accelerator=tpu", r"accelerator is 'tpu', expected auto, cpu or gpu\."),
    ("evaluate", MODEL, "weights=foo", r"weights is 'foo', expected fetch\."),
    ("evaluate", MODEL, "samples_per_class=0", r"samples_per_class is 0, expected at least 1\."),
    ("evaluate", MODEL, "controllability=-1", r"controllability is -1, expected a number of cases, or 0 for none\."),
    ("evaluate", MODEL, "clips.length=4", r"clips\.length=4 is for clips without a model"),
    ("evaluate", MODEL, "clips.foils=-1", r"clips: foils is -1, expected 0 or more clips\."),
    ("evaluate", MODEL, "real={model}", "Give either a checkpoint to measure, or clips: real=<folder> fake=<folder>"),
    ("evaluate", CLIPS, "accelerator=tpu", r"accelerator is 'tpu', expected auto, cpu or gpu\."),
    ("evaluate", CLIPS, "seed=-1", r"seed is -1, expected a whole number from 0"),
    ("evaluate", CLIPS, "clips.stride=0", r"clips: stride is 0, expected at least 1\."),
    ("evaluate", CLIPS, "clips.fps=0", r"clips: fps is 0, expected frames per second, above 0\."),
    ("evaluate", CLIPS, "samples_per_class=3", "samples_per_class is a setting of models that are measured"),
    ("generate", MODEL, "seed=-1", r"seed is -1, expected a whole number from 0"),
    ("generate", MODEL, "gif=3", r"gif is 3, expected true or false\."),
    ("generate", MODEL, "accelerator=tpu", r"accelerator is 'tpu', expected auto, cpu or gpu\."),
    ("generate", MODEL, "n=0", r"n is 0, expected the number of sequences per class, at least 1\."),
    (
        "generate",
        MODEL,
        "lambdas=1",
        r"lambdas is 1, expected the number of mixtures, both pure classes included: >= 2",
    ),
    ("generate", MODEL, "length=0", r"length is 0, expected a whole number of frames, at least "),
    ("generate", (*MODEL, "label=walk"), "between=[walk,wave]", "label= and between= exclude each other"),
    ("generate", MODEL, "mix=3", r"mix is '3', expected settings mix\.<name>=<value>|mix is 3, expected"),
    ("generate", MODEL, "camera=foo", r"camera is 'foo', expected still or source\. camera: of such a motion"),
    ("generate", MODEL, "show=foo", "show is foo, expected .*grid"),
    ("generate", MODEL, "steps=0", r"steps is 0, expected 1 to 100\."),
    ("generate", MODEL, "shift=[0,inf]", r"shift is inf, expected frames by which actions are put off"),
    ("generate", (*MODEL, "show=grid"), "transfer={model}", "transfer= and show= ask for different things; give one"),
    (
        "generate",
        (*MODEL, "decode={model}"),
        "clip=0",
        "decode= writes down the steps of a video and begins with nothing",
    ),
    ("export", EXPORT, "seed=-1", r"seed is -1, expected a whole number from 0"),
    ("export", EXPORT, "videos=0", r"videos is 0, expected at least 1\."),
    ("export", EXPORT, "splits=[foo]", r"splits names 'foo', expected some of train, val, test\."),
    ("export", EXPORT, "format=pvg", r"format=pvg writes a data set, no model; leave out checkpoint=\."),
    ("export", (*EXPORT, "format=glass"), "part=global_motion", "part= is for checkpoints of Mutoscope; leave it out"),
    ("export", ("out=o",), "videos=3", r"checkpoint must be given: add checkpoint=<value>\."),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ckpt"
    torch.save({}, path)
    return path


@pytest.mark.parametrize(("verb", "beside", "wrong", "said"), WRONG, ids=[f"{row[0]} {row[2]}" for row in WRONG])
def test_what_no_model_takes_is_told_early(
    compose: Compose, model: Path, verb: str, beside: tuple[str, ...], wrong: str, said: str
) -> None:
    own = (*PEOPLE, *KINETIC_GAN) if verb == "train" else ()
    words = [word.format(model=model) for word in (*own, *beside, wrong)]
    with pytest.raises(ConfigError, match=said):
        check_early(compose(*words, verb=verb), verb)


@pytest.mark.parametrize(
    ("verb", "setting"),
    [("train", "ckpt"), ("evaluate", "checkpoint"), ("generate", "checkpoint"), ("export", "checkpoint")],
)
def test_what_is_no_model_is_told_early_in_the_words_of_its_reader(
    compose: Compose, tmp_path: Path, verb: str, setting: str
) -> None:
    text, folder = tmp_path / "notes.txt", tmp_path / "folder"
    text.write_text("no archive", encoding="utf-8")
    folder.mkdir()
    out = ("out=o",) if verb == "export" else ()
    for path in (text, folder):
        with pytest.raises(CheckpointError) as early:
            check_early(compose(*out, f"{setting}={path}", verb=verb), verb)
        if verb == "train" or path == text:
            with pytest.raises(CheckpointError) as late:
                read_checkpoint(path)
            assert str(early.value) == str(late.value)
        else:
            assert str(early.value).startswith(f"{folder} is a folder without config.json and model.safetensors")


def test_what_one_kind_takes_is_left_to_the_model() -> None:
    # frames of motion, of which one is enough; video from action graphs needs two
    check_chosen("generate", {"length": 1})
    # settings of several kinds at once are refused once it is known which kind the model is of
    check_chosen("generate", {"mix": {"walk": 1.0}, "camera": "source"})
    check_chosen("evaluate", {})


@pytest.mark.parametrize(
    "typed",
    [["evaluate", "checkpoint={model}", "reference=foo"], ["train", "ckpt={folder}"], ["compare", "{gone}", "{gone}"]],
)
def test_answers_take_no_torch(model: Path, typed: list[str]) -> None:
    code = (
        "import sys; from mutoscope.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)\n"
    )
    words = [word.format(model=model, folder=model.parent, gone=model.parent / "gone") for word in typed]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=model.parent, check=True
    )
    assert done.stderr.startswith("error: ")
    assert done.stdout == "1 False\n"
