import pytest
import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou

from mutoscope.metrics import LayoutIoU, TooFewSamplesError, box_iou_pairs, moving_objects


def boxes(n: int, t: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.cat([torch.rand(n, t, 2, generator=g) * 1.2 - 0.3, torch.rand(n, t, 2, generator=g) * 0.4], dim=-1)


def test_iou_is_torchvisions_diagonal() -> None:
    a, b = boxes(50, 4).flatten(0, 1), boxes(50, 4, seed=1).flatten(0, 1)
    b[::2] = a[::2] + 0.05 * torch.rand(100, 4)
    wanted = box_iou(*(box_convert(x, "xywh", "xyxy") for x in (a, b))).diagonal()
    assert (wanted > 0.2).sum() > 50
    torch.testing.assert_close(box_iou_pairs(a, b), wanted)


def test_empty_boxes_have_no_overlap() -> None:
    empty = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.2, 0.2, 0.0, 0.3]])
    assert torch.equal(box_iou_pairs(empty, empty), torch.zeros(2))


def naive(fake: Tensor, real: Tensor, counted: Tensor, threshold: float | None) -> float:
    values = []
    for i in range(len(real)):
        for k in range(1, real.shape[1]):
            if counted[i]:
                pair = [box_convert(x[i, k][None], "xywh", "xyxy") for x in (fake.clamp(0, 1), real)]
                value = float(box_iou(*pair))
                values.append(value if threshold is None else float(value > threshold))
    return sum(values) / len(values)


@pytest.mark.parametrize("moving_only", [False, True])
def test_streamed_metrics_equal_a_loop(moving_only: bool) -> None:
    real = boxes(12, 5)
    real[::3] = real[::3, :1]
    fake = real + 0.1 * torch.randn(real.shape, generator=torch.Generator().manual_seed(2))
    nodes = torch.arange(12) % 4 != 3
    moving = moving_objects(real)
    assert 0 < int((nodes & moving).sum()) < int(nodes.sum())
    counted = nodes & moving if moving_only else nodes
    for statistic, threshold in (("miou", 0.5), ("recall", 0.3), ("recall", 0.5)):
        metric = LayoutIoU(statistic, threshold, moving_only)
        for part in (slice(0, 5), slice(5, 12)):
            metric.update(fake[part], real[part], nodes[part], moving[part])
        wanted = naive(fake, real, counted, None if statistic == "miou" else threshold)
        assert float(metric.compute()) == pytest.approx(wanted, rel=1e-5)


def test_the_given_frame_does_not_count() -> None:
    real = boxes(3, 4).clamp(min=0.05, max=0.5)
    fake = real.clone()
    fake[:, 0] = 0
    metric = LayoutIoU()
    metric.update(fake, real, torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool))
    assert float(metric.compute()) == pytest.approx(1.0)


def test_standing_still_is_no_movement() -> None:
    track = torch.tensor([0.2, 0.2, 0.1, 0.1]).repeat(2, 6, 1)
    track[1, 3:5, 0] += 0.1
    assert moving_objects(track).tolist() == [False, True]
    assert moving_objects(track, threshold=0.2).tolist() == [False, False]


def test_nothing_seen_and_wrong_shapes_are_told() -> None:
    metric = LayoutIoU(moving_only=True)
    none = torch.zeros(3, dtype=torch.bool)
    metric.update(boxes(3, 4), boxes(3, 4), none, none)
    with pytest.raises(TooFewSamplesError, match="no moving object"):
        metric.compute()
    with pytest.raises(ValueError, match=r"\[n, t, 4\]"):
        metric.update(boxes(3, 4), boxes(3, 5), none, none)
    with pytest.raises(ValueError, match="real_nodes"):
        metric.update(boxes(3, 4), boxes(3, 4), none[:2], none)
    with pytest.raises(ValueError, match="statistic"):
        LayoutIoU("mean")
