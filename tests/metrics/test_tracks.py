import math

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import (
    DestinationError,
    TimingAccuracy,
    TooFewSamplesError,
    onsets_of_pixels,
    onsets_of_tracks,
    timing_accuracy,
)
from mutoscope.metrics.tracks import pixel_change
from mutoscope.structures import CATER_VOCABULARY, ClockedGraph, DatasetInfo

INFO = DatasetInfo(
    name="made up",
    kind="action_graph",
    classes=CATER_VOCABULARY.action_names,
    fps=8.0,
    length=12,
    channels=3,
    frame_size=(32, 48),
    vocabulary=CATER_VOCABULARY,
)
LENGTH = 12


def graph(
    *edges: tuple[int, str, float, float], objects: int = 2, destination: tuple[float, float] = (0.0, 0.0)
) -> ClockedGraph:
    """One clip; edges (subject, action, start frame, end frame) of objects acting on themselves."""
    attributes = torch.ones(objects + 1, 4, dtype=torch.int64)
    attributes[-1] = 0
    subject = torch.tensor([e[0] for e in edges])
    relations = torch.tensor([[i, 0, objects] for i in range(objects)])
    return ClockedGraph(
        attributes=attributes,
        clip=torch.zeros(objects + 1, dtype=torch.int64),
        relations=relations,
        subject=subject,
        action=torch.tensor([CATER_VOCABULARY.action(e[1]) for e in edges]),
        object=subject,
        progress=torch.tensor([[-s / (e - s), (LENGTH - s) / (e - s)] for _, _, s, e in edges]),
        destination=torch.tensor([destination] * len(edges)),
        num_clips=1,
    )


def boxes(starts: list[int | None], objects: int = 2) -> Tensor:
    """Tracks of one clip: object ``i`` slides right for 3 frames from frame ``starts[i]``; then the image node."""
    tracks = torch.tensor([0.1, 0.2, 0.2, 0.25]).repeat(objects + 1, LENGTH, 1)
    tracks[-1] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    for i, start in enumerate(starts):
        tracks[i, :, 1] += 0.4 * i
        if start is not None:
            tracks[i, :, 0] += 0.15 * (torch.arange(LENGTH) - start + 1).clamp(0, 3)
    return tracks


def flicker(when: dict[int, range], noise: float = 3.0, strength: float = 60.0, seed: int = 0) -> Tensor:
    """``[1, t, 3, 32, 48]`` noisy frames; the pixels of object ``i`` are redrawn at the frames ``when[i]``."""
    g = torch.Generator().manual_seed(seed)
    frames = torch.full((LENGTH, 3, 32, 48), 110.0)
    for i, active in when.items():
        for k in active:
            top = round(32 * (0.2 + 0.4 * i))
            frames[k:, :, top : top + 8, 5:14] = 110 + strength * torch.rand(3, 8, 9, generator=g)
    return (frames + noise * torch.randn(frames.shape, generator=g)).clamp(0, 255).to(torch.uint8)[None]


def test_onset_is_the_first_frame_that_moved() -> None:
    onset = onsets_of_tracks(boxes([4, None]))
    assert onset[0] == 4
    assert onset[1:].tolist() == [math.inf, math.inf]


def test_trembling_is_no_onset() -> None:
    tracks = boxes([6, None])
    tracks = tracks + 0.003 * torch.randn(tracks.shape, generator=torch.Generator().manual_seed(0))
    assert onsets_of_tracks(tracks)[0] == 6
    assert onsets_of_tracks(tracks)[1] == math.inf


def test_change_of_pixels_is_a_mean_over_the_box() -> None:
    frames = flicker({0: range(3, 7), 1: range(8, 10)}, noise=20)
    tracks = boxes([2, None])
    tracks[0, :, 0] -= 0.2
    tracks[1, :, 1] += 0.3
    change = pixel_change(frames, tracks, torch.zeros(3, dtype=torch.int64))
    difference = (frames[0, 1:].float() - frames[0, :-1].float()).abs().mean(dim=1)
    for i in range(3):
        for k in range(LENGTH - 1):
            x0, y0 = (tracks[i, k : k + 2, a].min().item() * s for a, s in ((0, 48), (1, 32)))
            x1, y1 = (
                (tracks[i, k : k + 2, a] + tracks[i, k : k + 2, a + 2]).max().item() * s for a, s in ((0, 48), (1, 32))
            )
            rows = slice(max(0, math.floor(y0)), max(0, math.ceil(y1)))
            columns = slice(max(0, math.floor(x0)), max(0, math.ceil(x1)))
            assert float(change[i, k]) == pytest.approx(float(difference[k, rows, columns].mean()), rel=1e-4)


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_turning_in_place_shows_in_pixels(noise: float) -> None:
    frames = flicker({0: range(3, 7), 1: range(8, 11)}, noise)
    still = boxes([None, None])
    onset = onsets_of_pixels(frames, still, torch.zeros(3, dtype=torch.int64))
    assert onset[:2].tolist() == [3, 8]


def test_noise_alone_and_objects_outside_never_start() -> None:
    outside = boxes([None, None])
    outside[1, :, 0] = 2.0
    onset = onsets_of_pixels(flicker({}, noise=6.0), outside, torch.zeros(3, dtype=torch.int64))
    assert onset.tolist() == [math.inf] * 3


def test_order_of_onsets() -> None:
    early = torch.tensor([1.0, 5.0, 3.0, math.inf, 2.0])
    late = torch.tensor([8.0, 2.0, 3.0, math.inf, math.inf])
    assert float(timing_accuracy(early, late)) == pytest.approx(1 / 5)


def test_pairs_are_judged_by_the_edges_that_differ() -> None:
    # object 1 acts at the same time in both clips and must not matter
    early = graph((0, "slide", 1, 4), (1, "slide", 2, 5))
    late = graph((0, "slide", 8, 11), (1, "slide", 2, 5))
    cases = (([1, 2], [8, 2], 1.0), ([8, 2], [1, 2], 0.0), ([4, 2], [4, 2], 0.0), ([None, 2], [None, 2], 0.0))
    for first, second, wanted in cases:
        metric = TimingAccuracy(INFO)
        metric.update(early, late, boxes(first), boxes(second))
        assert float(metric.compute()) == wanted
        per_class = metric.per_class()
        assert float(per_class[CATER_VOCABULARY.action("slide")]) == wanted
        assert int(per_class.isnan().sum()) == len(per_class) - 1


def test_clips_are_pooled_and_rotation_is_read_from_pixels() -> None:
    turning = graph((1, "rotate", 1, 4)), graph((1, "rotate", 8, 11))
    sliding = graph((0, "slide", 1, 4)), graph((0, "slide", 8, 11))
    early, late = (ClockedGraph.cat([turning[i], sliding[i]]) for i in range(2))
    still = boxes([None, None])
    frames = [flicker({1: when}) for when in (range(1, 4), range(8, 11))]
    tracks = [torch.cat([still, boxes([start, None])]) for start in (8, 1)]
    metric = TimingAccuracy(INFO)
    metric.update(early, late, *tracks, torch.cat([frames[0], frames[0]]), torch.cat([frames[1], frames[1]]))
    per_class = metric.per_class()
    assert float(per_class[CATER_VOCABULARY.action("rotate")]) == 1.0
    assert float(per_class[CATER_VOCABULARY.action("slide")]) == 0.0
    assert float(metric.compute()) == 0.5

    without = TimingAccuracy(INFO)
    without.update(early, late, *tracks)
    assert int(without.asked.sum()) == 1


def test_same_graphs_hold_no_pair_and_others_are_refused() -> None:
    metric = TimingAccuracy(INFO)
    metric.update(graph((0, "slide", 1, 4)), graph((0, "slide", 1, 4)), boxes([1]), boxes([1]))
    with pytest.raises(TooFewSamplesError, match="no pair"):
        metric.compute()
    with pytest.raises(ValueError, match="same objects and edges"):
        metric.update(graph((0, "slide", 1, 4)), graph((1, "slide", 1, 4)), boxes([1]), boxes([1]))


def test_destination_is_looked_at_on_arrival() -> None:
    # true track: from x = 0.1 by three steps of 0.15, moving on at frame 9
    real = boxes([2, None])
    real[0, 9:, 0] += 0.3
    arriving = graph((0, "slide", 1.5, 4), (1, "rotate", 1, 4), destination=(0.55, 0.2))
    late = graph((0, "slide", 8, 14), destination=(0.55, 0.2))
    fake = real + torch.tensor([0.03, 0.04, 0.0, 0.0])
    for of, wanted in (("fake", 0.05), ("real", 0.0), ("first", 0.45)):
        metric = DestinationError(INFO, of)
        metric.update(fake, real, arriving)
        metric.update(fake, real, late)
        assert float(metric.compute()) == pytest.approx(wanted, abs=1e-5)
        assert int(metric.count) == 1


def test_no_destination_is_told() -> None:
    metric = DestinationError(INFO)
    metric.update(boxes([1]), boxes([1]), graph((0, "contain", 1, 4)))
    with pytest.raises(TooFewSamplesError, match="destination"):
        metric.compute()
    with pytest.raises(ValueError, match=r"expected \[3, t, 4\]"):
        metric.update(boxes([1])[:2], boxes([1])[:2], graph((0, "slide", 1, 4)))
