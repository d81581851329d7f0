from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mutoscope.config.measures import RecognizerConfig
from mutoscope.data.datamodule import DataModule, Split
from mutoscope.evaluators.trained import TrainedTrackClassifier, track_classifier_for
from mutoscope.metrics import ActionRecall, ComposedAccuracy, TooFewSamplesError
from mutoscope.models.track_classifier import TrackClassifierNet
from mutoscope.models.track_classifier.network import edge_loss
from mutoscope.structures import (
    CATER_VOCABULARY,
    ActionGraphBatch,
    ActionGraphPair,
    ClockedGraph,
    DatasetInfo,
    Kind,
)

LENGTH, OBJECTS = 16, 4
ASKED = ("slide", "rotate", "pick_place", "contain")


def scene(seed: int, asked: str | None = None) -> ActionGraphBatch:
    """One clip of four objects, two of which act one after the other: slide, turn, are carried or put over another."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=g)  # noqa: E731
    size = 0.08 + 0.1 * rand(OBJECTS, 1).expand(OBJECTS, 2)
    tracks = torch.cat([0.1 + 0.7 * rand(OBJECTS, 2), size], dim=1)[:, None].repeat(1, LENGTH, 1)
    subjects = torch.randperm(OBJECTS, generator=g)[:2].tolist()
    rows, time = [], torch.arange(LENGTH)
    for turn, subject in enumerate(subjects):
        action = asked if asked and not turn else ASKED[int(torch.randint(4, (), generator=g))]
        start, span = 8.0 * turn + 2 * float(rand(1)) - 2 * (turn == 0), 6 + 2 * float(rand(1))
        other = (subject + 1 + int(torch.randint(OBJECTS - 1, (), generator=g))) % OBJECTS
        if action == "contain":
            target = tracks[other, -1, :2] + (tracks[other, -1, 2:] - tracks[subject, -1, 2:]) / 2
        else:
            # a free place: of some, the one farthest from where anything is
            places = 0.1 + 0.7 * rand(8, 2)
            target = places[torch.cdist(places, tracks[:, -1, :2]).amin(dim=1).argmax()]
        share = ((time - start) / span).clamp(0, 1)[:, None]
        lift = torch.sin(torch.pi * share) * 0.2 * (action in ("pick_place", "contain"))
        origin = tracks[subject, 0, :2].clone()
        if action != "rotate":
            tracks[subject, :, :2] = origin + share * (target - origin) - lift * torch.tensor([0.0, 1.0])
        rows.append((subject, CATER_VOCABULARY.action(action), other if action == "contain" else subject, start, span))
    subject, action, object_, start, span = (torch.tensor(column) for column in zip(*rows, strict=True))
    attributes = 1 + torch.randint(0, 2, (OBJECTS + 1, 4), generator=g)
    attributes[-1] = 0
    graph = ClockedGraph(
        attributes=attributes,
        clip=torch.zeros(OBJECTS + 1, dtype=torch.int64),
        relations=torch.tensor([[i, 0, OBJECTS] for i in range(OBJECTS)]),
        subject=subject,
        action=action,
        object=object_,
        progress=torch.stack([-start / span, (LENGTH - start) / span], dim=1),
        destination=torch.zeros(len(rows), 2),
        num_clips=1,
    )
    boxes = torch.cat([tracks, torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, LENGTH, 4)])
    return ActionGraphBatch(graph=graph, boxes=boxes, frames=None, names=(f"{seed}",))


def scenes(first: int, count: int, asked: str | None = None) -> ActionGraphBatch:
    return ActionGraphBatch.cat([scene(seed, asked) for seed in range(first, first + count)])


class Scenes(Dataset[Any]):
    """Made-up scenes; training items come as pairs, as those of real data do."""

    def __init__(self, first: int, count: int, pairs: bool) -> None:
        self.items = [scene(first + i) for i in range(count)]
        self.label, self.pairs = torch.zeros(count, dtype=torch.int64), pairs

    def __len__(self) -> int:
        return len(self.items)

    def __getitems__(self, indices: list[int]) -> ActionGraphPair | ActionGraphBatch:
        batch = ActionGraphBatch.cat([self.items[i] for i in indices])
        return ActionGraphPair(frames=batch, layout=batch) if self.pairs else batch


class MadeUp(DataModule):
    kind: Kind = "action_graph"

    def __init__(self) -> None:
        super().__init__(batch_size=4)
        self.splits: dict[Split, Scenes] = {"train": Scenes(0, 600, True), "val": Scenes(5000, 100, False)}

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name="made_up",
            kind="action_graph",
            classes=CATER_VOCABULARY.action_names,
            fps=8.0,
            length=LENGTH,
            channels=3,
            frame_size=(32, 32),
            vocabulary=CATER_VOCABULARY,
        )

    def dataset(self, split: Split) -> Scenes:
        return self.splits[split]

    @property
    def fingerprint(self) -> str:
        return "made up"


CONFIG: dict[str, Any] = {
    "max_steps": 150,
    "batch_size": 32,
    "model": {
        "_target_": "mutoscope.models.track_classifier.module.TrackClassifier",
        "width": 32,
        "optimizers": {"track_classifier": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 3e-3}},
    },
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def datamodule() -> MadeUp:
    return MadeUp()


@pytest.fixture(scope="module")
def trained(datamodule: MadeUp, cache: Path) -> TrainedTrackClassifier:
    return track_classifier_for(datamodule, RecognizerConfig.parse(CONFIG), cache)


def test_learns_the_actions_of_tracks(trained: TrainedTrackClassifier) -> None:
    assert trained.accuracy > 0.93
    unseen = scenes(9000, 60)
    metric = ActionRecall(MadeUp().info, trained.network)
    metric.update(unseen.boxes, torch.zeros_like(unseen.boxes), unseen.graph)
    assert float(metric.compute()) > 0.93
    asked = [CATER_VOCABULARY.action(name) for name in ASKED]
    assert (metric.per_class()[asked] > 0.85).all()


def test_comes_from_the_cache_afterwards(
    trained: TrainedTrackClassifier, datamodule: MadeUp, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mutoscope.evaluators.trained.make_trainer", None)
    again = track_classifier_for(datamodule, RecognizerConfig.parse(CONFIG), cache)
    assert (again.sha256, again.accuracy) == (trained.sha256, trained.accuracy)
    assert (datamodule.batch_size, datamodule.start_sample) == (4, 0)
    clips = scenes(0, 5)
    assert torch.equal(again.network(clips.graph, clips.boxes), trained.network(clips.graph, clips.boxes))


def test_resting_and_wrong_tracks_are_not_recognised(trained: TrainedTrackClassifier) -> None:
    for asked in ("slide", "pick_place", "contain"):
        clips = scenes(7000, 30, asked)
        graph, boxes = clips.graph, clips.boxes
        first = torch.arange(0, graph.num_actions, 2)
        resting = trained.network(graph, boxes[:, :1].expand_as(boxes)).argmax(dim=1)
        assert (resting[first] == graph.action[first]).float().mean() < 0.1


def test_carrying_beside_another_object_contains_nothing(trained: TrainedTrackClassifier) -> None:
    clips = scenes(7000, 40, "contain")
    graph, boxes = clips.graph, clips.boxes.clone()
    first = torch.arange(0, graph.num_actions, 2)
    assert (trained.network(graph, boxes).argmax(dim=1) == graph.action)[first].float().mean() > 0.85
    target = graph.object[first]
    boxes[target, :, 0] = (boxes[target, :, 0] + 0.4) % 0.8
    missed = trained.network(graph, boxes).argmax(dim=1)[first]
    assert (missed == graph.action[first]).float().mean() < 0.3


def test_does_not_look_at_what_is_asked(trained: TrainedTrackClassifier) -> None:
    clips = scenes(100, 10)
    other = ClockedGraph(**{**vars(clips.graph), "action": clips.graph.action.flip(0)})
    assert torch.equal(trained.network(clips.graph, clips.boxes), trained.network(other, clips.boxes))


def test_edges_under_way_are_recognised_by_the_rest(trained: TrainedTrackClassifier) -> None:
    clips = scenes(7000, 40, "contain")
    graph = ClockedGraph(**{**vars(clips.graph), "progress": clips.graph.progress.clone()})
    graph.progress[:] = torch.tensor([0.8, 1.05])
    first = torch.arange(0, graph.num_actions, 2)
    # the first action of each clip, spread over the whole of it as a clock of 0.8 to 1.05 asks for
    boxes = clips.boxes[:, :8].repeat_interleave(2, dim=1)
    named = trained.network(graph, boxes).argmax(dim=1)
    assert (named[first] == graph.action[first]).float().mean() > 0.8


def test_clips_are_judged_by_themselves(trained: TrainedTrackClassifier) -> None:
    clips = scenes(200, 6)
    alone = [clips.select([i]) for i in range(6)]
    wanted = torch.cat([trained.network(one.graph, one.boxes) for one in alone])
    torch.testing.assert_close(trained.network(clips.graph, clips.boxes), wanted, rtol=1e-4, atol=1e-5)


def test_the_image_is_no_companion() -> None:
    net = TrackClassifierNet(CATER_VOCABULARY).eval()
    clips = scenes(0, 3, "slide")
    moved = clips.boxes.clone()
    moved[~clips.graph.real] = torch.rand(4)
    assert torch.equal(net(clips.graph, clips.boxes), net(clips.graph, moved))


def test_edges_mostly_outside_are_not_judged() -> None:
    graph = scene(0).graph
    progress = torch.tensor([[0.0, 0.4], [-0.5, 0.6]])
    graph = ClockedGraph(**{**vars(graph), "progress": progress})
    assert TrackClassifierNet(CATER_VOCABULARY).judged(graph).tolist() == [False, True]


def test_loss_ignores_edges_that_do_not_count() -> None:
    logits = torch.randn(4, 7, requires_grad=True)
    action, counted = torch.tensor([1, 2, 3, 4]), torch.tensor([True, False, True, False])
    loss = edge_loss(logits, action, counted)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits[::2], action[::2]))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1::2].abs().sum() == 0
    assert float(edge_loss(logits.detach(), action, torch.zeros(4, dtype=torch.bool))) == 0.0


class Oracle:
    """Names the given actions."""

    def __init__(self, actions: Tensor, judged: Tensor) -> None:
        self.actions, self.seen = actions, judged

    def judged(self, graph: ClockedGraph) -> Tensor:
        return self.seen

    def __call__(self, graph: ClockedGraph, boxes: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(self.actions, 7).float()

    def eval(self) -> None: ...


def test_composed_graphs_need_all_their_edges() -> None:
    clips = scenes(300, 4)
    said = clips.graph.action.clone()
    said[[2, 5]] = 1
    progress = clips.graph.progress.clone()
    progress[[5, 6, 7]] = torch.tensor([1.1, 2.0])
    graph = ClockedGraph(**{**vars(clips.graph), "progress": progress})
    judged = torch.tensor([True, True, True, False, True, True, False, False])
    metric = ComposedAccuracy(Oracle(said, judged))
    metric.update(clips.boxes, clips.boxes, graph)
    # clip 1 misses one of its two edges; of clip 2 one is over before it begins, of clip 3 both are
    assert float(metric.compute()) == pytest.approx(2 / 3)
    single = ComposedAccuracy(Oracle(said, judged), single=True)
    single.update(clips.boxes, clips.boxes, graph)
    assert float(single.compute()) == pytest.approx(4 / 5)
    recall = ActionRecall(MadeUp().info, Oracle(said, judged))
    recall.update(clips.boxes, clips.boxes, clips.graph)
    assert float(recall.compute()) == pytest.approx(3 / 5)
    nothing = ActionRecall(MadeUp().info, Oracle(said, torch.zeros(8, dtype=torch.bool)))
    nothing.update(clips.boxes, clips.boxes, clips.graph)
    with pytest.raises(TooFewSamplesError, match="no edge"):
        nothing.compute()


def test_boxes_of_other_nodes_are_refused() -> None:
    clips = scenes(0, 2)
    with pytest.raises(ValueError, match=r"expected \[10, t, 4\]"):
        TrackClassifierNet(CATER_VOCABULARY)(clips.graph, clips.boxes[:3])
