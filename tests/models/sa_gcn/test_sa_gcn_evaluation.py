"""What SA-GCN is measured by: its paper's metrics, the unbiased one, and two recognisers."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow import SA_GCN_METRICS
from stored import numbers, protocols_missing

from mutoscope.config.assembly import load_model, prepared
from mutoscope.data.sampling import clips_of
from mutoscope.kinds import results
from mutoscope.kinds.motion.baselines import real_clips
from mutoscope.kinds.motion.results import MotionEvaluation as Evaluation
from mutoscope.metrics import class_mmd2, sa_gcn_mmd
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]

TINY = (
    "model=sa_gcn",
    "dataset.clips_per_class=8",
    "dataset.val_clips_per_class=4",
    "dataset.classes=[walk,wave,kick]",
    "dataset.length=8",
    "dataset.batch_size=8",
    "dataset.channels=2",
    "dataset.fps=15",
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.max_steps=2",
    "metrics=none",
    "callbacks=none",
)
METRICS = {
    "motion_fid",
    "motion_mmd",
    "movement",
    "accuracy",
    "nearest_train",
    "paper/sa_gcn_mmd",
    "paper/sa_gcn_mmd_avg",
    "paper/sa_gcn_mmd_avg_clip",
    "standard/mmd",
    "accuracy_clip_critic",
}


@pytest.fixture(scope="module")
def result(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path, list[Any]]:
    """The evaluation of a tiny model whose metrics nobody chose, its folder, and what was said."""
    folder = tmp_path_factory.mktemp("sa_gcn")
    train(compose(*TINY), folder / "run")
    config = compose(
        "checkpoint=x", "recognizer.max_steps=2", "samples_per_class=3", "accelerator=cpu", verb="evaluate"
    )
    config |= {"checkpoint": str(folder / "run" / "checkpoints" / "last.ckpt")}
    said: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUTOSCOPE_CACHE", str(folder / "cache"))
        patch.setattr(results, "say", said.append)
        evaluation = evaluate(config, {"metrics": SA_GCN_METRICS})
    return evaluation, folder / "run", said


def test_its_papers_metrics_stand_beside_unbiased_ones(result: tuple[Evaluation, Path, list[Any]]) -> None:
    for row in result[0].rows:
        # two coordinates: bones have no length
        assert set(row.values) == METRICS
        assert all(value is not None and math.isfinite(value) for value in row.values.values())
        assert min(row.values[name] for name in METRICS if name.startswith("paper/")) >= 0  # type: ignore[type-var]


def test_every_number_says_how_it_was_measured(
    result: tuple[Evaluation, Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Evaluation, "publish", lambda evaluation, out: [])
    result[0].write(tmp_path)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert {name for name, _ in numbers({"rows": written["rows"]})} == METRICS
    assert {"action_swap", "locality"} <= {name for name, _ in numbers(written)}
    assert protocols_missing(written) == []


def test_the_numbers_are_those_of_the_formulas_on_the_same_clips(
    result: tuple[Evaluation, Path, list[Any]],
) -> None:
    evaluation, run, _ = result
    model, config = load_model(run / "checkpoints" / "last.ckpt")
    data = prepared(config.dataset)
    real = real_clips(data, "val", 9, "train", 1234)
    fake = model.generate(real.held_out, seed=1234).fake
    assert torch.equal(evaluation.fake, fake)
    normaliser = data.info.need_normaliser()
    reference = normaliser.normalise(real.reference.joints), real.reference.label
    values = {row.name: row.values for row in evaluation.rows}
    for name, clips in (("trained", fake), ("real, held out (floor)", real.held_out.joints)):
        sides = (*reference, normaliser.normalise(clips), real.held_out.label)
        found = values[name]
        assert found["paper/sa_gcn_mmd"] == pytest.approx(float(sa_gcn_mmd(*sides, num_classes=3)), rel=1e-6)
        assert found["paper/sa_gcn_mmd_avg"] == pytest.approx(float(sa_gcn_mmd(*sides, num_classes=3, mode="a")))
        assert found["standard/mmd"] == pytest.approx(float(class_mmd2(*sides, num_classes=3)), rel=1e-6)
    assert len(clips_of(data, "train")) == len(real.reference) + 9


def test_two_recognisers_count_class_by_class(result: tuple[Evaluation, Path, list[Any]]) -> None:
    evaluation, run, _ = result
    recognizers = evaluation.protocol["recognizers"]
    assert {name: its["title"] for name, its in recognizers.items()} == {
        "accuracy": "ST-GCN recogniser",
        "accuracy_clip_critic": "recogniser with the clip critic's trunk",
    }
    assert recognizers["accuracy"]["sha256"] != recognizers["accuracy_clip_critic"]["sha256"]
    written = json.loads((run / "evaluation" / "metrics.json").read_text())
    for row in written["rows"]:
        for name in recognizers:
            per_class = row["accuracy_per_class"][name]
            assert list(per_class) == ["walk", "wave", "kick"]
            assert row["accuracy_mean_over_classes"][name] == pytest.approx(sum(per_class.values()) / 3)
    page = (run / "evaluation" / "report.html").read_text()
    assert "class by class: ST-GCN recogniser" in page
    assert "class by class: recogniser with the clip critic&#39;s trunk" in page
    assert page.count("mean of classes") == 2
    # both are cached
    assert len(list((run.parent / "cache" / "recognizers").glob("*.safetensors"))) == 2


def test_what_to_bear_in_mind_comes_with_the_numbers(result: tuple[Evaluation, Path, list[Any]]) -> None:
    evaluation, run, said = result
    papers = [name for name in evaluation.rows[0].values if name.startswith("paper/")]
    assert set(evaluation.caveats) == {*papers, "motion_fid", "motion_mmd", "standard/mmd", "movement"}
    said_of = {tuple(names): text for text, names in evaluation.by_caveat().items()}
    assert set(said_of) == {tuple(papers), ("motion_fid",), ("motion_mmd", "standard/mmd"), ("movement",)}
    text = said_of[tuple(papers)]
    assert "is biased upward" in said_of["motion_fid",]
    assert "not at poses" in said_of["movement",]
    assert all("frozen rows" in said_of[names] for names in (("motion_fid",), ("motion_mmd", "standard/mmd")))
    for part in ("equal numbers", "barely sees motion", "rewards repeating"):
        assert part in text
    # said once for the metrics it concerns
    assert said.count(f"{', '.join(papers)}: {text}") == 1
    assert text in (run / "evaluation" / "report.html").read_text()
    assert json.loads((run / "evaluation" / "metrics.json").read_text())["caveats"] == evaluation.caveats


def test_metrics_that_were_chosen_stay_chosen(
    compose: Compose, result: tuple[Evaluation, Path, list[Any]], tmp_path: Path
) -> None:
    run = result[1]
    config = compose("checkpoint=x", "metrics=none", "recognizer.max_steps=2", verb="evaluate")
    config |= {
        "checkpoint": str(run / "checkpoints" / "last.ckpt"),
        "out": str(tmp_path),
        "metrics": {"mine": {"_target_": "mutoscope.metrics.ClipMMD"}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUTOSCOPE_CACHE", str(run.parent / "cache"))
        chosen = evaluate(config, {"metrics": {"": "none"}})
        assert set(chosen.rows[0].values) == {"mine"}
        with pytest.raises(ConfigError, match=r"metrics\.acuracy is .*did you mean 'accuracy'"):
            evaluate(config, {"metrics": {"acuracy": {"of": "real"}}})
        typo = {"accuracy_clip_critic": {"recognizer": {"max_step": 2}}}
        with pytest.raises(ConfigError, match=r"recognizer\.max_step is not a setting of recognizer; did you mean"):
            evaluate(config, {"metrics": typo})
