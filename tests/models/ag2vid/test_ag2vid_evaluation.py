"""``evaluate`` for video from action graphs: layouts, frames, control, and a page that stands alone."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from stored import numbers, protocols_missing

from mutoscope.formats.video import read_video
from mutoscope.kinds.action_graph.results import ActionGraphEvaluation
from mutoscope.kinds.task import EvaluationTask
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.export import export

Compose = Callable[..., dict[str, Any]]
Run = Callable[..., ActionGraphEvaluation]


@pytest.fixture(scope="module")
def run(compose: Compose, trained_ag2vid: Path, classifier_cache: Path) -> Run:
    """``evaluate`` the small model; the classifier of tracks is the one that its training made."""

    def ran(
        *overrides: str, explicit: dict[str, Any] | None = None, shown: bool = True, **changes: Any
    ) -> ActionGraphEvaluation:
        """Drawing takes much of the time: ``shown=False`` where nobody looks at it."""
        config = compose(
            "checkpoint=x",
            "metrics=action_graph",
            "recognizer=tracks",
            "recognizer.max_steps=2",
            "samples_per_class=1",
            "accelerator=cpu",
            *overrides,
            verb="evaluate",
        )
        config |= {"checkpoint": str(trained_ag2vid / "checkpoints" / "last.ckpt"), **changes}
        chosen = {"metrics": {"": "action_graph"}, "recognizer": {"": "tracks"}, "dataset": explicit or {}}
        with pytest.MonkeyPatch.context() as patch:
            if not shown:
                patch.setattr(ActionGraphEvaluation, "publish", lambda evaluation, out: [])
            return evaluate(config, chosen)

    return ran


@pytest.fixture(scope="module")
def result(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[ActionGraphEvaluation, Path]:
    out = tmp_path_factory.mktemp("evaluation") / "out"
    return run(out=str(out)), out


@pytest.fixture(scope="module")
def written(result: tuple[ActionGraphEvaluation, Path]) -> dict[str, Any]:
    return json.loads((result[1] / "metrics.json").read_text())


def by_name(table: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    return {row["name"]: row["metrics"] for row in table}


def test_layouts_stand_beside_rules_copies_and_the_truth(written: dict[str, Any]) -> None:
    table = by_name(written["layouts"])
    assert list(table) == ["GCN", "RNN", "rule", "copy first frame", "random", "ground truth"]
    for name in ("layout_miou", "layout_miou_moving", "layout_recall_30", "layout_recall_50"):
        assert table["ground truth"][name] == pytest.approx(1)
        assert all(0 <= row[name] <= 1 + 1e-6 for row in table.values()), name  # type: ignore[operator]
    # most objects rest: standing still is right nearly everywhere, chance nearly nowhere
    assert table["ground truth"]["layout_miou"] > table["copy first frame"]["layout_miou"]  # type: ignore[operator]
    assert table["copy first frame"]["layout_miou"] > table["random"]["layout_miou"]  # type: ignore[operator]
    assert "frame_error" not in table["GCN"]


def test_frames_have_a_floor_of_zero(written: dict[str, Any]) -> None:
    table = by_name(written["frames"])
    assert list(table) == ["untrained", "trained", "trained, true layout", "copy first frame", "real (floor)"]
    assert table["real (floor)"]["frame_error"] == 0
    assert all(0 < table[name]["frame_error"] < 255 for name in list(table)[:-1])  # type: ignore[operator]
    assert table["trained"] != table["untrained"]
    # no pixel of these videos changes by much, and there is no LPIPS without weights
    assert table["trained"]["frame_error_moving"] is None
    assert "layout_miou" not in table["trained"]


def test_control_is_asked_for_every_action(written: dict[str, Any]) -> None:
    rows = {row["question"]: row for row in written["control"]}
    timing = [f"{action}: starts when asked" for action in ("slide", "contain", "rotate", "pick_place")]
    assert set(timing) < set(rows)
    assert rows["slide: starts when asked"]["cases"] > 0
    assert 0 <= rows["slide: starts when asked"]["value"] <= 1
    # nothing is ever lifted in these videos
    assert rows["pick_place: starts when asked"] == {
        "protocol": rows["pick_place: starts when asked"]["protocol"],
        "question": "pick_place: starts when asked",
        "cases": 0,
        "value": None,
        "by_chance": 0.5,
        "deviation": None,
        "absent": "no clip shows this action.",
    }
    for name in ("swap", "huddle"):
        together, single = (rows[f"{name}: {what} recognised"] for what in ("all its actions", "single actions"))
        assert 0 <= together["value"] <= 1
        assert 0 <= single["value"] <= 1
        assert single["cases"] > together["cases"]
    arrival = [row for question, row in rows.items() if question.startswith("distance from the destination")]
    assert len(arrival) == 3
    assert len({row["cases"] for row in arrival}) == 1


def test_the_protocol_says_how_it_was_measured(written: dict[str, Any], trained_ag2vid: Path) -> None:
    expected = {
        "dataset": "cater",
        "split": "val",
        "clips": 4,
        "length": 8,
        "fps": 8,
        "frame_size": [32, 32],
        "layout": "gcn",
        "seed": 1234,
        "checkpoint": str(trained_ag2vid / "checkpoints" / "last.ckpt"),
    }
    protocol = written["protocol"]
    assert {name: protocol[name] for name in expected} == expected
    assert re.fullmatch("[0-9a-f]{64}", protocol["track_classifier_sha256"])
    assert 0 <= protocol["track_classifier_val_accuracy"] <= 1
    assert len(list(numbers(written))) > 30
    assert protocols_missing(written) == []


def test_the_report_stands_alone_and_holds_videos(result: tuple[ActionGraphEvaluation, Path]) -> None:
    page = (result[1] / "report.html").read_text()
    for text in ("AG2Vid on cater", "ground truth", "real (floor)", "starts when asked", "How it learned"):
        assert text in page
    # nothing is fetched: no address in anything that loads, no import, no file beside the page
    assert not re.findall(r"""(?:src|href|poster)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert "@import" not in page
    # what a chart clips itself with stands in the page
    assert not re.findall(r"url\((?!['\"]?(?:data:|#))", page)
    assert len(re.findall(r"data:video/mp4;base64,", page)) == 4
    assert len(read_video(result[1] / "media" / "clip00.mp4")[0]) == 8
    # explanations stand below the tables: as headings they would push numbers out of the page
    headings = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)", page)
    assert "answer" in headings
    assert max(map(len, headings)) < 30


def test_numbers_repeat_and_an_export_has_the_same(
    run: Run,
    result: tuple[ActionGraphEvaluation, Path],
    trained_ag2vid: Path,
    cater: tuple[str, ...],
    tmp_path: Path,
) -> None:
    torch.manual_seed(5)
    folder = export(trained_ag2vid / "checkpoints" / "last.ckpt", tmp_path / "model")
    # an export knows no place of the machine it was made on
    with pytest.raises(FileNotFoundError, match=r"cater was given no folder; .*Set dataset\.root="):
        run(checkpoint=str(folder))
    root = next(setting.partition("=")[2] for setting in cater if setting.startswith("dataset.root="))
    again = run(checkpoint=str(folder), explicit={"root": root}, shown=False)
    for part in ("layouts", "frames", "control"):
        assert getattr(again, part) == getattr(result[0], part), part
    assert torch.equal(again.sample.fake, result[0].sample.fake)
    assert (folder / "evaluation" / "metrics.json").is_file()


def test_metrics_of_motion_give_way_to_those_of_video(
    compose: Compose, trained_ag2vid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody chose metrics or recogniser: they are the model's kind's, not the defaults of the command."""
    asked = {}

    def note(self: object, task: EvaluationTask) -> Mock:
        asked.update(vars(task.settings))
        return Mock()

    monkeypatch.setattr("mutoscope.kinds.action_graph.tools.ActionGraphTools.evaluate", note)
    config = compose("checkpoint=x", "accelerator=cpu", verb="evaluate")
    config |= {"checkpoint": str(trained_ag2vid / "checkpoints" / "last.ckpt"), "out": str(tmp_path)}
    evaluate(config, {})
    assert "layout_miou" in asked["metrics"]
    assert "motion_fid" not in asked["metrics"]
    assert asked["recognizer"].model["_target_"].endswith("TrackClassifier")


def test_other_data_must_look_like_what_the_model_learned(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The dataset's frame_size is \[64, 64\], but .* was made with \[32, 32\]"):
        run(out=str(tmp_path), explicit={"size": 64})
    with pytest.raises(ConfigError, match=r"The dataset's length is 6, but checkpoint .* was made with 8"):
        run(out=str(tmp_path), explicit={"length": 6})


def test_the_test_split_is_measured_where_asked(run: Run, tmp_path: Path) -> None:
    only = ["metrics=none", "+metrics.layout_miou._target_=mutoscope.metrics.LayoutIoU", "split=test"]
    evaluation = run(*only, shown=False, out=str(tmp_path))
    assert evaluation.protocol["split"] == "test"
    # one test video, one window
    assert evaluation.protocol["clips"] == 1
    assert all(math.isfinite(row.values["layout_miou"]) for row in evaluation.layouts)  # type: ignore[arg-type]
    assert evaluation.frames[0].values == {}


def test_models_of_video_are_not_measured_beside_one_another(run: Run, trained_ag2vid: Path, tmp_path: Path) -> None:
    last = str(trained_ag2vid / "checkpoints" / "last.ckpt")
    with pytest.raises(
        ConfigError, match=r"beside= is for models of skeleton motion, but .*last\.ckpt makes video from"
    ):
        run(beside={"a": last}, out=str(tmp_path))
