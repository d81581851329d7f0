"""``evaluate``: a table with its floor, how it was measured, and a page that stands alone."""

import json
import math
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from stored import numbers, protocols_missing

from mutoscope.cli.typed import typed_values
from mutoscope.config.nodes import build_dataset
from mutoscope.data.sampling import clips_of
from mutoscope.formats.checkpoints import CheckpointError
from mutoscope.kinds.command import evaluation_command, in_grammar
from mutoscope.kinds.controllability import QUESTIONS
from mutoscope.kinds.motion.results import MotionEvaluation as Evaluation
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import export
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
Explicit = dict[str, Any] | None


@pytest.fixture(scope="module")
def run(compose: Compose, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Evaluation]:
    """``evaluate`` the tiny model with a recogniser of two iterations, cached for all tests here."""
    cache = tmp_path_factory.mktemp("cache")

    def ran(*overrides: str, explicit: Explicit = None, shown: bool = True, **changes: Any) -> Evaluation:
        """Drawing takes most of the time: ``shown=False`` where nobody looks at it."""
        typed = ["checkpoint=x", "recognizer.max_steps=2", "samples_per_class=3", "accelerator=cpu", *overrides]
        config = compose(*typed, verb="evaluate")
        config |= {"checkpoint": str(trained / "checkpoints" / "last.ckpt"), **changes}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MUTOSCOPE_CACHE", str(cache))
            if not shown:
                patch.setattr(Evaluation, "publish", lambda evaluation, out: [])
            chosen = {group: typed_values(typed, group) for group in ("metrics", "recognizer")}
            return evaluate(config, {**chosen, "dataset": explicit or {}})

    return ran


@pytest.fixture(scope="module")
def result(run: Callable[..., Evaluation], tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("evaluation") / "out"
    return run(out=str(out)), out


def test_the_table_holds_model_start_and_floor(result: tuple[Evaluation, Path]) -> None:
    evaluation, out = result
    written = json.loads((out / "metrics.json").read_text())
    names = [row["name"] for row in written["rows"]]
    assert names == [
        "untrained",
        "trained",
        "frozen random pose",
        "frozen first frame",
        "shuffled labels",
        "real, training (floor)",
        "real, held out (floor)",
    ]
    assert [row["role"] for row in written["rows"]] == ["foil", "model"] + ["foil"] * 3 + ["floor"] * 2
    assert [row["clips"] for row in written["rows"]] == [9] * 7
    assert len(list(numbers({"rows": written["rows"]}))) == 42
    assert protocols_missing(written) == []
    for row, mine in zip(written["rows"], evaluation.rows, strict=True):
        assert row["metrics"] == mine.values
        assert set(row["metrics"]) == {
            "motion_fid",
            "motion_mmd",
            "movement",
            "accuracy",
            "bone_drift",
            "nearest_train",
        }
        assert all(math.isfinite(value) for value in row["metrics"].values())
        (per_class,) = row["accuracy_per_class"].values()
        assert set(per_class) == {"walk", "wave", "kick"}
        # as many clips of each class: the mean over classes is the mean over clips
        assert row["accuracy_mean_over_classes"]["accuracy"] == pytest.approx(row["metrics"]["accuracy"])
        assert row["what"].endswith(".")
    asked = {row["name"]: row for row in written["controllability"]}
    assert list(asked) == ["trained", "by chance", "real, held out (floor)"]
    assert asked["trained"]["metrics"].keys() == {column.key for column in QUESTIONS}
    assert "one class at a time" in asked["trained"]["absent"]["composition"]
    assert asked["by chance"]["metrics"]["action_swap"] == 0 < asked["by chance"]["metrics"]["locality"] < 1
    assert "Controllability" in (out / "report.html").read_text()
    untrained, *_, floor = evaluation.rows
    # real people are rigid and alike, noise is not
    assert floor.values["bone_drift"] < untrained.values["bone_drift"]
    assert floor.values["motion_fid"] < untrained.values["motion_fid"]
    rows = {row.name: row.values for row in evaluation.rows}
    # who stands still keeps bones; training clips lie among themselves; labels are nothing to this distance
    assert rows["frozen first frame"]["bone_drift"] == pytest.approx(0, abs=1e-6)
    assert rows["frozen random pose"]["bone_drift"] == pytest.approx(0, abs=1e-6)
    assert rows["real, training (floor)"]["nearest_train"] == 0
    assert rows["shuffled labels"]["motion_fid"] == floor.values["motion_fid"]


def test_rows_can_be_held_against_held_out_clips(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    evaluation = run("reference=held_out", "controllability=0", out=str(tmp_path))
    assert evaluation.protocol["reference"] == "held-out clips"
    assert list(evaluation.tables) == ["rows"]
    # four clips of a class are divided between the rows and what they are held against
    assert evaluation.protocol["reference_clips"] == evaluation.protocol["clips_per_row"] == 6
    assert "reference=held_out" in (tmp_path / "report.html").read_text()
    with pytest.raises(ConfigError, match="reference is 'test', expected train or held_out"):
        run("reference=test", out=str(tmp_path))
    with pytest.raises(ConfigError, match=r"controllability is -1, expected a number of cases, or 0 for none\."):
        run("controllability=-1", out=str(tmp_path))


def test_further_checkpoints_are_rows_of_the_same_table(
    run: Callable[..., Evaluation], result: tuple[Evaluation, Path], trained: Path, tmp_path: Path
) -> None:
    early, last = (str(trained / "checkpoints" / name) for name in ("step=00000002.ckpt", "last.ckpt"))
    evaluation = run(beside={"early": early, "same": last}, out=str(tmp_path))
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert [row["name"] for row in written["rows"]][:5] == [
        "untrained",
        "trained",
        "early",
        "same",
        "frozen random pose",
    ]
    rows = {row.name: row for row in evaluation.rows}
    assert rows["same"].values == rows["trained"].values
    assert rows["same"].per_class == rows["trained"].per_class
    assert rows["early"].values != rows["trained"].values
    assert "after 2 iterations" in rows["early"].what
    assert rows["trained"].values == result[0].rows[1].values
    assert written["protocol"]["beside"] == {"early": early, "same": last}
    page = (tmp_path / "report.html").read_text()
    assert "Generated by early" in page
    assert "&#39;beside={early: " in page


def test_checkpoints_in_a_list_are_named_after_their_runs(
    run: Callable[..., Evaluation], trained: Path, tmp_path: Path
) -> None:
    quick = ("metrics=none", "+metrics.accuracy._target_=mutoscope.metrics.RecognitionAccuracy")
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "exported")
    shutil.copytree(trained, tmp_path / "longer")
    early, late = (str(tmp_path / "longer" / "checkpoints" / f"step={step:08d}.ckpt") for step in (2, 4))
    evaluation = run(*quick, shown=False, beside=[early, str(folder)], out=str(tmp_path))
    assert [row.name for row in evaluation.rows][2:4] == ["longer", "exported"]
    evaluation = run(*quick, shown=False, beside=[early, late], out=str(tmp_path))
    assert [row.name for row in evaluation.rows][2:4] == [f"longer, step={step:08d}" for step in (2, 4)]


def test_the_reports_command_asks_for_the_same_checkpoints(compose: Compose) -> None:
    checkpoints = {
        "k=0": "runs/k0/step=00000002.ckpt",
        "a, b: c": "runs/a cnn",
        "quoted": 'runs/"q"\\',
        "l": ["a b", "null"],
    }
    config = compose("checkpoint=x", f"beside={in_grammar(checkpoints)}", verb="evaluate")
    assert config["beside"] == checkpoints
    config = compose("checkpoint=x", "beside={k0: runs/k0/last.ckpt, cnn: runs/cnn}", verb="evaluate")
    assert config["beside"] == {"k0": "runs/k0/last.ckpt", "cnn": "runs/cnn"}
    config = compose("checkpoint=x", "beside=[runs/k0/last.ckpt,runs/cnn]", verb="evaluate")
    assert config["beside"] == ["runs/k0/last.ckpt", "runs/cnn"]


def test_checkpoints_that_cannot_stand_beside_are_refused(
    run: Callable[..., Evaluation], compose: Compose, trained: Path, tiny: Compose, tmp_path: Path
) -> None:
    last = str(trained / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"nowhere\.ckpt"):
        run(beside={"a": str(tmp_path / "nowhere.ckpt")}, out=str(tmp_path))
    with pytest.raises(ConfigError, match="beside names a checkpoint 'trained', which is a row already"):
        run(beside={"trained": last}, out=str(tmp_path))
    with pytest.raises(ConfigError, match=r"beside lists the same checkpoint twice"):
        run(beside=[last, last], out=str(tmp_path))
    with pytest.raises(ConfigError, match=r"beside is 'last.ckpt', expected paths of checkpoints by name"):
        run(beside="last.ckpt", out=str(tmp_path))
    train(tiny("trainer.max_steps=1", "dataset.classes=[walk,turn,kick]"), tmp_path / "other")
    other = tmp_path / "other" / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match=r"classes is .*'wave'.*but checkpoint .*, which beside calls 'b', was made"):
        run(beside={"b": str(other)}, out=str(tmp_path))


def test_the_protocol_says_how_it_was_measured(result: tuple[Evaluation, Path], trained: Path) -> None:
    protocol = json.loads((result[1] / "metrics.json").read_text())["protocol"]
    expected = {
        "dataset": "toy_motion",
        "skeleton": "ntu25",
        "length": 16,
        "clips_per_row": 9,
        "reference_clips": 15,
        "reference": "training clips",
        "beside": {},
        "truncation": None,
        "seed": 1234,
        "checkpoint": str(trained / "checkpoints" / "last.ckpt"),
    }
    assert {name: protocol[name] for name in expected} == expected
    assert set(protocol["recognizers"]) == {"accuracy"}
    recognizer = protocol["recognizers"]["accuracy"]
    assert recognizer["title"] == "ST-GCN recogniser"
    assert re.fullmatch("[0-9a-f]{64}", recognizer["sha256"])
    assert 0 <= recognizer["val_accuracy"] <= 1
    assert protocol["dataset_fingerprint"]


def test_the_report_stands_alone(result: tuple[Evaluation, Path]) -> None:
    page = (result[1] / "report.html").read_text()
    for text in ("KineticGAN on toy_motion", "real, held out (floor)", "walk", "motion_fid", "How it learned"):
        assert text in page
    for row in result[0].rows:
        assert f"{row.name}: {row.what}" in page
    # nothing is fetched: no address in anything that loads, no import, no file beside the page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!['\"]?data:)", page)


def test_numbers_repeat(run: Callable[..., Evaluation], result: tuple[Evaluation, Path], tmp_path: Path) -> None:
    torch.manual_seed(5)
    again = run(shown=False, out=str(tmp_path))
    assert [row.values for row in again.rows] == [row.values for row in result[0].rows]
    assert torch.equal(again.fake, result[0].fake)


def test_an_export_is_measured_like_its_checkpoint(
    run: Callable[..., Evaluation], result: tuple[Evaluation, Path], trained: Path, tmp_path: Path
) -> None:
    folder = export(trained / "checkpoints" / "last.ckpt", tmp_path / "model")
    again = run(checkpoint=str(folder), shown=False)
    assert [row.values for row in again.rows] == [row.values for row in result[0].rows]
    assert (folder / "evaluation" / "metrics.json").is_file()


def test_results_lie_beside_the_runs_checkpoints_by_default(run: Callable[..., Evaluation], trained: Path) -> None:
    run("metrics=none", "+metrics.accuracy._target_=mutoscope.metrics.RecognitionAccuracy")
    assert (trained / "evaluation" / "metrics.json").is_file()
    assert (trained / "evaluation" / "report.html").is_file()


def test_other_data_must_look_like_what_the_model_learned(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The dataset's classes is .*, but checkpoint .* was made with \['walk'"):
        run(out=str(tmp_path), explicit={"classes": ["walk", "turn", "kick"]})
    with pytest.raises(ConfigError, match=r"The dataset's length is 32, but checkpoint .* was made with 16"):
        run(out=str(tmp_path), explicit={"length": 32})
    with pytest.raises(ConfigError, match=r"dataset\.lenght is not a setting of ToyMotion; did you mean 'length'"):
        run(out=str(tmp_path), explicit={"lenght": 32})
    # the group's own defaults do not count as the user's wishes, the setting typed does
    evaluation = run("dataset=toy_motion", shown=False, out=str(tmp_path), explicit={"val_clips_per_class": 2})
    assert evaluation.rows[0].count == 6


def test_a_dataset_of_another_name_is_cut_like_the_models_own(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    changes = {"dataset": {"name": "cmu_mocap", "root": str(tmp_path / "nowhere"), "length": 64}}
    with pytest.raises(FileNotFoundError, match=r"nowhere.*dataset\.root="):
        run(out=str(tmp_path), **changes)


def test_typed_settings_need_no_name(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    typed = {"val_clips_per_class": 2}
    evaluation = run(shown=False, out=str(tmp_path), dataset=typed, explicit=typed)
    assert evaluation.rows[0].count == 6


def test_clips_are_drawn_evenly_over_classes_and_without_repeats(compose: Compose) -> None:
    config = compose("dataset.clips_per_class=9", "dataset.classes=[walk,wave,kick]", "dataset.length=16")
    data = build_dataset(config["dataset"])
    data.setup()
    drawn = clips_of(data, "train", limit=13, seed=3)
    assert torch.bincount(drawn.label).sort().values.tolist() == [4, 4, 5]
    assert len({clip.numpy().tobytes() for clip in drawn.joints}) == 13
    assert torch.equal(drawn.joints, clips_of(data, "train", limit=13, seed=3).joints)
    assert not torch.equal(drawn.joints, clips_of(data, "train", limit=13, seed=4).joints)
    assert len(clips_of(data, "train")) == len(clips_of(data, "train", limit=99)) == 27


def test_several_checkpoints_and_seeds_share_a_row(
    run: Callable[..., Evaluation], trained: Path, tmp_path: Path
) -> None:
    quick = ("metrics=none", "+metrics.drift._target_=mutoscope.metrics.BoneDrift")
    early, last = (str(trained / "checkpoints" / name) for name in ("step=00000002.ckpt", "last.ckpt"))
    single = [
        run(*quick, shown=False, checkpoint=path, seed=1234, seeds=[seed], out=str(tmp_path)).rows[1].values["drift"]
        for path in (last, early)
        for seed in (3, 4)
    ]
    both = run(
        *quick, shown=False, checkpoint=[last, early], seeds=[3, 4], beside={"twice": [early, last]}, out=str(tmp_path)
    )
    rows = {row.name: row for row in both.rows}
    assert [one.values["drift"] for one in rows["trained"].runs] == single
    assert rows["trained"].values["drift"] == pytest.approx(sum(single) / 4)
    assert rows["trained"].deviations["drift"] == pytest.approx(torch.tensor(single).double().std().item())
    assert rows["twice"].values["drift"] == pytest.approx(rows["trained"].values["drift"])
    assert len(rows["untrained"].runs) == 2
    assert rows["frozen first frame"].runs == ()
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["protocol"]["seeds"] == [3, 4]
    assert written["protocol"]["checkpoint"] == [last, early]
    assert "±" in (tmp_path / "table.md").read_text()
    for wrong, said in (([last, last], "lists the same checkpoint twice"), ([], r"expected a path, or a list of them")):
        with pytest.raises(ConfigError, match=said):
            run(*quick, checkpoint=wrong, out=str(tmp_path))
    for seeds in ([1, 1], [], "a", [True], [-1]):
        with pytest.raises(ConfigError, match="expected different whole numbers"):
            run(*quick, seeds=seeds, out=str(tmp_path))


def test_a_metric_that_fails_is_absent_with_its_reason(run: Callable[..., Evaluation], tmp_path: Path) -> None:
    evaluation = run(
        "metrics=none",
        "+metrics.drift._target_=mutoscope.metrics.BoneDrift",
        "+metrics.paper._target_=mutoscope.metrics.SAGCNMMD",
        "+metrics.paper.most=1",
        out=str(tmp_path),
    )
    for row in evaluation.rows:
        assert row.values["paper"] is None
        assert row.absent["paper"] == "The paper's MMD needs 2 clips of every class, but class 0 has 1."
        assert row.values["drift"] is not None
    for name in ("report.html", "table.md", "table.csv", "metrics.json"):
        text = (tmp_path / name).read_text().replace("&#39;", "'")
        assert "The paper's MMD needs 2 clips of every class, but class 0 has 1." in text, name


def test_the_command_in_the_report_repeats_the_evaluation(compose: Compose) -> None:
    typed = {
        "dataset": {"val_clips_per_class": 2, "classes": ["a b", "c=d"]},
        "metrics": {"": "sa_gcn", "x": {"y": None}},
    }
    overrides = {
        "checkpoint": ["runs/a b/epoch=3.ckpt", "it's.ckpt"],
        "beside": {"the other, newer": "runs/(2)/last.ckpt"},
        "reference": "held_out",
        "seeds": [1, 2],
        "samples_per_class": 7,
        "truncation": 0.95,
        "out": "res ults",
    }
    config = {**compose("checkpoint=x", verb="evaluate"), **overrides}
    words = shlex.split(evaluation_command(config, typed))
    assert words[:2] == ["mutoscope", "evaluate"]
    plain = [word for word in words[2:] if not word.startswith(("dataset.", "metrics"))]
    again = compose(*plain, verb="evaluate")
    assert {key: again[key] for key in overrides} == overrides
    assert {key: again[key] for key in again if key not in overrides} == {
        key: config[key] for key in config if key not in overrides
    }
    assert [word for word in words if word not in plain][2:] == [
        "dataset.val_clips_per_class=2",
        'dataset.classes=["a b", "c=d"]',
        "metrics=sa_gcn",
        "metrics.x.y=null",
    ]
    assert evaluation_command(compose("checkpoint=x", verb="evaluate"), {}) == "mutoscope evaluate checkpoint=x"
