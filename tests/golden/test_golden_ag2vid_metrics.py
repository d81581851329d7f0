"""Replay of recorded evaluations of AG2Vid: layout metrics, Fréchet distance, inception score."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mutoscope.metrics import (
    ClassifierFID,
    InceptionScore,
    LayoutIoU,
    box_iou_pairs,
    frechet_distance_of_features,
    inception_score,
    moving_objects,
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("layout_metrics", "fid_is"):
        if kind in metafunc.fixturenames:
            files = sorted((metafunc.config.golden_dir / "ag2vid").glob(f"{kind}*.safetensors"))
            absent = pytest.param(None, id="absent", marks=pytest.mark.skip(f"no recordings {kind} of ag2vid here"))
            metafunc.parametrize(kind, files or [absent], ids=lambda path: path.stem)


def test_layout_metrics(layout_metrics: Path) -> None:
    recorded = load_file(layout_metrics)
    real, fake = (recorded[f"in/boxes_{side}"].transpose(1, 2).flatten(0, 1) for side in ("gt", "pred"))
    objects = (recorded["in/objs"][..., 0] != 0).flatten()
    clips, nodes = recorded["in/objs"].shape[:2]

    iou = box_iou_pairs(fake[:, 1:].clamp(0, 1), real[:, 1:]).view(clips, nodes, -1)
    pooled = iou.transpose(1, 2)[objects.view(clips, 1, nodes).expand_as(iou.transpose(1, 2))]
    recorded_iou = recorded["out/iou"]
    torch.testing.assert_close(pooled.sort().values, recorded_iou.sort().values, rtol=1e-4, atol=1e-4)

    metrics = {"miou": LayoutIoU(), "recall_03": LayoutIoU("recall", 0.3), "recall_05": LayoutIoU("recall", 0.5)}
    for name, metric in metrics.items():
        metric.update(fake, real, objects, moving_objects(real))
        assert float(metric.compute()) == pytest.approx(float(recorded[f"out/{name}"]), rel=1e-4), name


class Recorded(nn.Module):
    """A classifier that answers clip ``i`` with recorded row ``i``, whose number its first pixel holds."""

    def __init__(self, features: Tensor, probabilities: Tensor) -> None:
        super().__init__()
        self.table, self.probabilities = features, probabilities
        self.num_features, self.num_classes = features.shape[1], probabilities.shape[1]

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        row = frames[:, 0, 0, 0, 0].long()
        return self.table[row], self.probabilities[row % len(self.probabilities)].log()


def test_distance_and_score(fid_is: Path) -> None:
    recorded = load_file(fid_is)
    real, fake, p = recorded["in/feat_real"], recorded["in/feat_gen"], recorded["in/probs"]
    wanted = float(recorded["out/fid"]), float(recorded["out/is"])
    assert float(frechet_distance_of_features(real, fake)) == pytest.approx(wanted[0], rel=1e-6)
    assert float(inception_score(p)) == pytest.approx(wanted[1], rel=1e-6)

    rows = torch.arange(len(real) + len(fake), dtype=torch.uint8)[:, None, None, None, None].expand(-1, 1, 3, 1, 1)
    distance = ClassifierFID(Recorded(torch.cat([real, fake]), p))
    score = InceptionScore(distance.classifier)
    for i in range(0, max(len(real), len(fake)), 7):
        distance.update(rows[len(real) :][i : i + 7], rows[: len(real)][i : i + 7])
    for part in rows[: len(p)].split(9):
        score.update(part, part)
    assert float(distance.compute()) == pytest.approx(wanted[0], rel=1e-6)
    assert float(score.compute()) == pytest.approx(wanted[1], rel=1e-6)
