"""Files and folders that settings name and that are not there: told before torch is imported, by the setting's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow import GLASS, KINETIC_GAN, PEOPLE, SPRITES

from mutoscope.cli.early import check_early
from mutoscope.config.signatures import parameters
from mutoscope.data.folders import NAMED
from mutoscope.data.registry import datamodules
from mutoscope.formats.missing import CheckpointError
from mutoscope.runtime.errors import ConfigError

Compose = Callable[..., dict[str, Any]]
#: what is typed, up to the path, and what is said of it
CHARACTERS = (*SPRITES, *GLASS)
GONE = [
    ("train", (*PEOPLE, *KINETIC_GAN), "ckpt={}", "There is no checkpoint at {}"),
    ("train", CHARACTERS, "dataset.sheets={}", r"{}, which dataset\.sheets names; expected a folder with sprite"),
    ("train", CHARACTERS, "dataset.background={}", r"{}, which dataset\.background names; expected a picture"),
    (
        "train",
        CHARACTERS,
        "metrics.add.detector.weights={}",
        r"{}, which metrics\.add\.detector\.weights names; expected a file of weights",
    ),
    ("train", CHARACTERS, "metrics.lpips.weights={}", r"{}, which metrics\.lpips\.weights names"),
    ("train", CHARACTERS, "model.start_from.global_motion={}", r"{}, which model\.start_from\.global_motion"),
    ("train", ("dataset=cmu_mocap",), "dataset.root={}", "There is no folder {}; expected a folder with index"),
    ("evaluate", (), "checkpoint={}", "There is no checkpoint at {}"),
    ("evaluate", (), "checkpoint=[{here},{}]", "There is no checkpoint at {}"),
    ("evaluate", ("checkpoint={here}",), "beside=[{here},{}]", "{}, which beside names; expected further checkpoints"),
    ("evaluate", ("checkpoint={here}",), "beside={{a: {}}}", r"{}, which beside\.a names"),
    ("evaluate", ("checkpoint={here}",), "beside={{a: [{here}, {}]}}", r"{}, which beside\.a names"),
    ("evaluate", ("checkpoint={here}", "dataset=cmu_mocap"), "dataset.root={}", "There is no folder {}; expected a"),
    ("evaluate", ("checkpoint={here}",), "dataset.root={}", r"{}, which dataset\.root names"),
    ("evaluate", ("checkpoint={here}",), "dataset.sheets={}", r"{}, which dataset\.sheets names"),
    ("evaluate", ("checkpoint={here}", "metrics=video"), "metrics.lpips.weights={}", r"which metrics\.lpips\.weights"),
    ("evaluate", ("fake={here}",), "real={}", "{}, which real names; expected real videos or motions"),
    ("evaluate", ("real={here}",), "fake={}", "{}, which fake names; expected generated videos or motions"),
    ("evaluate", ("real={here}", "fake={here}"), "clips.labels={}", r"{}, which clips\.labels names; expected a CSV"),
    ("generate", (), "checkpoint={}", "There is no checkpoint at {}"),
    ("generate", ("checkpoint={here}",), "prompt={}", "{}, which prompt names; expected a graph"),
    ("generate", ("checkpoint={here}",), "prompt=[{here},{}]", "{}, which prompt names"),
    ("generate", ("checkpoint={here}",), "first_frame={}", "{}, which first_frame names; expected a picture"),
    ("generate", ("checkpoint={here}",), "image={}", "{}, which image names; expected a picture to begin with"),
    ("generate", ("checkpoint={here}",), "image=[{here},{}]", "{}, which image names"),
    ("generate", ("checkpoint={here}",), "actions={}", r"{}, which actions names; expected steps"),
    ("generate", ("checkpoint={here}",), "decode={}", r"{}, which decode names; expected a video \(or folder"),
    ("generate", ("checkpoint={here}",), "transfer={}", r"{}, which transfer names; expected a video \(or folder"),
    ("generate", ("checkpoint={here}",), "dataset={{background: {}}}", r"{}, which dataset\.background names"),
    ("export", ("out=o",), "checkpoint={}", "There is no checkpoint at {}"),
    ("export", ("out=o", "format=glass"), "checkpoint={}", "There is no checkpoint at {}"),
    (
        "export",
        ("out=o", "format=kinetic_gan", "checkpoint={here}"),
        "original.files.critic={}",
        r"{}, which original\.files\.critic names; expected weights of the original",
    ),
    ("export", ("out=o", "format=pvg", "dataset=wsprites"), "dataset.sheets={}", r"{}, which dataset\.sheets names"),
    ("export", ("out=o", "format=pvg", "dataset=video_folder"), "dataset.root={}", "There is no folder {}"),
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder that a model may be in."""
    return as_run(tmp_path / "here")


def as_run(path: Path) -> Path:
    (path / "checkpoints").mkdir(parents=True)
    torch.save({}, path / "checkpoints" / "last.ckpt")
    return path


@pytest.mark.parametrize(("verb", "beside", "gone", "said"), GONE, ids=[f"{row[0]} {row[2]}" for row in GONE])
def test_what_is_not_there_is_told_and_what_is_there_is_not(
    compose: Compose, here: Path, verb: str, beside: tuple[str, ...], gone: str, said: str
) -> None:
    def check(path: Path) -> None:
        words = [word.format(path, here=here) for word in (*beside, gone)]
        words += ["metrics=tennis"] if "detector" in gone else []
        check_early(compose(*words, verb=verb), verb)

    missing = here.parent / "gone"
    with pytest.raises((CheckpointError, FileNotFoundError), match=said.format(missing)):
        check(missing)
    as_run(missing)
    if gone.startswith("ckpt="):
        # a run is gone on with by its own name
        with pytest.raises(CheckpointError, match=r"gone is a folder, expected a checkpoint to train on from, e\.g\. "):
            check(missing)
        check(missing / "checkpoints" / "last.ckpt")
        return
    # what lies in the folder is for those that read it, but for what has a name by default
    if "dataset=cmu_mocap" in beside:
        with pytest.raises(FileNotFoundError, match=r"gone/index\.csv, which dataset\.index names; expected a table"):
            check(missing)
    else:
        check(missing)


@pytest.mark.parametrize(
    ("dataset", "setting"),
    [
        ("cmu_mocap", "index"),
        ("cater", "train_list"),
        ("video_folder", "val_list"),
        ("smthv2", "test_labels"),
        ("smthv2", "boxes"),
        ("smthv2", "mapping"),
    ],
)
def test_files_of_data_may_lie_below_their_folder(compose: Compose, here: Path, dataset: str, setting: str) -> None:
    config = compose(f"dataset={dataset}", f"dataset.root={here}", f"dataset.{setting}=mine", verb="evaluate")
    config["checkpoint"] = str(here)
    with pytest.raises(FileNotFoundError, match=rf"{here}/mine, which dataset\.{setting} names; expected "):
        check_early(config, "evaluate")
    (here / "mine").touch()
    check_early(config, "evaluate")
    # the checkpoint alone knows the folder
    config["dataset"] |= {"root": None, setting: "elsewhere"}
    check_early(config, "evaluate")


def test_words_that_are_no_places_are_left_alone(compose: Compose, here: Path) -> None:
    check_early(compose(*PEOPLE, *KINETIC_GAN, "ckpt=last"), "train")
    check_early(
        compose(f"checkpoint={here}", "metrics=video", "metrics.lpips.weights=smoke", verb="evaluate"), "evaluate"
    )
    check_early(compose(f"checkpoint={here}", "actions=[[8,0,2],[0,0,5]]", "label=[walk]", verb="generate"), "generate")


def test_clips_are_held_against_others_before_anything_is_imported(compose: Compose, here: Path) -> None:
    with pytest.raises(ConfigError, match=r"give both, real=<folder or file> fake=<folder or file>"):
        check_early(compose(f"real={here}", verb="evaluate"), "evaluate")


def test_every_text_of_a_dataset_that_is_nothing_by_default_names_a_place_that_is_checked() -> None:
    """A setting that is ``null`` in place of a text is a path, or a word of those that are listed here."""
    made, words = {"cache_dir"}, {"unit", "classes"}
    found = {
        key
        for name, cls in datamodules().items()
        if cls.__module__.startswith("mutoscope.data.")
        for key, parameter in parameters(cls).items()
        if parameter.default is None and "str" in str(parameter.annotation)
    }
    assert found - made - words - {"root"} == set(NAMED) - {"index"}
