"""Does a model of action graphs do what is asked? Graphs from true first frames, read from box tracks and pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mutoscope.evaluators.trained import TrainedTrackClassifier
from mutoscope.kinds.action_graph.control import asks, composed, one_edge_each, with_edges
from mutoscope.kinds.controllability import (
    Answer,
    Controllable,
    Line,
    Wishes,
    controllability,
    in_region,
    in_time,
    row_of,
    share_of,
    visible,
)
from mutoscope.kinds.tables import Row, Table
from mutoscope.kinds.task import EvaluationTask
from mutoscope.metrics.actions import recognised
from mutoscope.metrics.layout import MOVING, moving_objects
from mutoscope.metrics.protocol import state_hash
from mutoscope.metrics.tracks import onsets_of_tracks
from mutoscope.models.generative import GenerativeModule
from mutoscope.structures import ActionGraphBatch, ActionGraphSample, ClockedGraph, DatasetInfo
from mutoscope.structures.boxes import centres
from mutoscope.structures.recipes import EARLY, LATE, SINGLE

Sampler = Callable[[ActionGraphBatch, int], ActionGraphSample]

#: a share of the clip: where actions begin that are asked for late
_LATE = -LATE[0] / (LATE[1] - LATE[0])


class GraphControl(Controllable[ActionGraphBatch, ActionGraphSample]):
    """Asks for single actions of true clips, each by itself over the whole clip, and for another one in its place.

    Actions are asked for that move a box in the true clip, since the judge sees tracks. The other action is one with
    the same objects and, where it takes one, the same destination. Two at once are those of the paper's composed
    actions.

    Args:
        sampler: of the model, or of what stands in its place.
        classifier: the judge.
        clips: held out, with frames.
        info: of the data.
        cases: how many at most.
        seed: of which other action is asked for.
    """

    def __init__(
        self,
        sampler: Sampler,
        classifier: TrainedTrackClassifier,
        clips: ActionGraphBatch,
        info: DatasetInfo,
        cases: int,
        *,
        seed: int = 0,
    ) -> None:
        self.sampler, self.classifier, self.info, self.seed = sampler, classifier, info, seed
        self.vocabulary = info.need_vocabulary()
        self.clips = clips.select(range(min(cases, len(clips))))

    @property
    def judge(self) -> str:
        return (
            f"{self.classifier.title}, which names {self.classifier.accuracy:.1%} of true edges rightly; where things "
            "change is read from pixels, of layouts alone from boxes"
        )

    @property
    def judge_hash(self) -> str:
        return state_hash(self.classifier.network.state_dict())

    @property
    def not_applicable(self) -> Mapping[str, str]:
        if self.vocabulary.destinations:
            return {}
        return {
            "effect_over_nothing": "these actions have no destination, by which it could be said how much was asked."
        }

    @property
    def chance(self) -> Mapping[str, float]:
        return {}

    def wishes(self) -> Wishes[ActionGraphBatch]:
        clips, edges, other = self._cases()
        asked = self.clips.select(clips.tolist())
        first = with_edges(self.clips.graph, edges, SINGLE)
        nothing = with_edges(self.clips.graph, edges[:0], SINGLE)
        timed = [(with_edges(self.clips.graph, edges, clock), when) for clock, when in ((EARLY, 0.0), (LATE, _LATE))]

        def of(graph: ClockedGraph) -> ActionGraphBatch:
            return asks(asked, graph.select(clips.tolist()))

        return Wishes(
            of(first),
            None if other is None else of(replace(first, action=other)),
            of(nothing),
            self._together(),
            [(of(graph), when) for graph, when in timed],
        )

    def _cases(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Clips ``[n]``, the edge of each, and the action that is asked for in its place, if any can be."""
        graph = self.clips.graph
        alike = self._alike()
        moves = moving_objects(self.clips.boxes)[graph.subject]
        generator = torch.Generator().manual_seed(self.seed)
        found: dict[int, tuple[int, int]] = {}
        swapped = any(alike.values())
        for action in torch.randperm(len(self.vocabulary.actions), generator=generator).tolist():
            others = alike.get(action, [])
            clips, edges = one_edge_each(graph, action)
            for clip, edge in zip(clips.tolist(), edges.tolist(), strict=True):
                if action in alike and (others or not swapped) and bool(moves[edge]) and clip not in found:
                    number = int(torch.randint(len(others), (), generator=generator)) if others else 0
                    found[clip] = edge, (others or [action])[number]
        if not found:
            raise ValueError("no clip asks for an action that moves something.")
        order = sorted(found)
        edges, other = torch.tensor([found[clip] for clip in order]).unbind(dim=1)
        return torch.tensor(order), edges, other if swapped else None

    def _alike(self) -> dict[int, list[int]]:
        """By action that moves things in the clips, others that take the same objects and destinations.

        Actions with destinations are those of a single object; which objects others take is told by the clips alone.
        """
        graph, vocabulary = self.clips.graph, self.vocabulary
        moves = moving_objects(self.clips.boxes)[graph.subject]
        kinds: dict[int, tuple[bool, bool]] = {}
        for action in (vocabulary.action(name) for name in vocabulary.action_names if name != "no_op"):
            edges = (graph.action == action) & moves
            if edges.any():
                alone = bool((graph.subject[edges] == graph.object[edges]).all())
                kinds[action] = alone, vocabulary.takes_destination(action)
        known = kinds | {
            action: (True, True) for action in range(len(vocabulary.actions)) if vocabulary.takes_destination(action)
        }
        return {a: [b for b, theirs in known.items() if b != a and theirs == own] for a, own in kinds.items()}

    def _together(self) -> tuple[ActionGraphBatch, ActionGraphBatch, ActionGraphBatch] | None:
        """The first of the paper's composed actions that there is room for, and its two actions alone."""
        for both in composed(self.clips, self.vocabulary, self.seed).values():
            graph = both.graph
            clip = graph.clip[graph.subject]
            if not bool((torch.bincount(clip, minlength=len(both)) == 2).all()):
                continue
            order = clip.argsort(stable=True)
            first, second = order[::2], order[1::2]
            return both, _only(both, first), _only(both, second)
        return None

    def sample(self, request: ActionGraphBatch, seed: int) -> ActionGraphSample:
        made = self.sampler(request, seed)
        return replace(made, fake=made.fake.cpu(), boxes=made.boxes.cpu())

    def shows(self, sample: ActionGraphSample, request: ActionGraphBatch) -> Tensor:
        right = recognised(self.classifier.network, request.graph, sample.boxes)
        return _of_all_edges(request.graph, right)

    def distance(self, one: ActionGraphSample, other: ActionGraphSample) -> Tensor:
        if one.drawn:
            return (one.fake.short() - other.fake.short()).abs().flatten(1).float().mean(dim=1)
        return _per_clip(one.asked.graph, (one.boxes - other.boxes).abs().mean(dim=(1, 2)))

    def progress(self, sample: ActionGraphSample, nothing: ActionGraphSample, request: ActionGraphBatch) -> Tensor:
        graph = request.graph
        begin = request.boxes[graph.subject, 0, :2]
        way = graph.destination - begin
        done = sample.boxes[graph.subject, -1, :2] - nothing.boxes[graph.subject, -1, :2]
        share = (done * way).sum(dim=1) / way.square().sum(dim=1)
        goes = torch.tensor([self.vocabulary.takes_destination(a) for a in graph.action.tolist()], dtype=torch.bool)
        return share.masked_fill(~goes | (way.norm(dim=1) < MOVING), torch.nan)

    def change(
        self, sample: ActionGraphSample, nothing: ActionGraphSample | None, request: ActionGraphBatch
    ) -> tuple[Tensor, Tensor, Tensor]:
        if nothing is None:
            raise ValueError("what changes is told from what happens unasked.")
        graph = request.graph
        asked = torch.zeros(graph.num_nodes, dtype=torch.bool)
        asked[torch.cat([graph.subject, graph.object])] = True
        asked &= graph.real
        if sample.drawn:
            differs = visible(sample.fake, nothing.fake)
            size = differs.shape[-2:]
            region = torch.zeros_like(differs, dtype=torch.bool)
            for boxes in (sample.boxes, nothing.boxes):
                region |= inside_boxes(boxes[asked], graph.clip[asked], len(differs), (size[0], size[1]))
            # the given frame changes for nobody
            return in_region(differs[:, 1:], region[:, 1:])
        moved = (centres(sample.boxes) - centres(nothing.boxes)).norm(dim=-1).mean(dim=1) * graph.real
        objects = _per_clip(graph, graph.real.float())
        return (
            _per_clip(graph, moved * asked),
            _per_clip(graph, moved),
            _per_clip(graph, asked.float()) / objects.clamp(min=1),
        )

    def onset(self, sample: ActionGraphSample, request: ActionGraphBatch) -> Tensor:
        graph = request.graph
        first = onsets_of_tracks(sample.boxes)[graph.subject]
        # a box that has moved at a frame began to at the one before
        return (first - 1) / sample.boxes.shape[1]

    def ceiling(self) -> Row:
        """What true clips score in the place of answers, as far as they can be asked."""
        clips = self.clips
        graph = clips.graph
        judged = self.classifier.network.judged(graph)
        right = recognised(self.classifier.network, graph, clips.boxes)[judged]
        half = len(right) // 2
        pairs = right[: 2 * half].view(2, half).all(dim=0)
        held = asks(clips, graph)
        truth, still = (
            ActionGraphSample(fake=frames, info=self.info, asked=clips, boxes=boxes)
            for frames, boxes in ((clips.frames, clips.boxes), (held.frames, held.boxes))
            if frames is not None
        )
        inside, whole, size = self.change(truth, still, clips)
        locality = Answer(torch.stack([inside, whole], dim=1).double(), float(size.double().mean()))
        starts, ends = graph.progress.unbind(dim=1)
        when = -starts / (ends - starts).clamp(min=1e-6)
        counted = (when > 0) & (when < 1) & moving_objects(clips.boxes)[graph.subject]
        begun = (onsets_of_tracks(clips.boxes)[graph.subject] - 1) / clips.length
        # what moved before, for another edge, cannot be seen to begin
        only = torch.bincount(graph.subject, minlength=graph.num_nodes)[graph.subject] == 1
        unasked = "no true clip is there for two graphs from one start."
        return row_of(
            "real (floor)",
            "floor",
            "True clips under their own graphs; two edges of theirs stand for a pair.",
            {
                "action_swap": Answer(share_of(pairs)),
                "effect_over_noise": Answer(absent=unasked),
                "effect_over_nothing": Answer(absent=unasked),
                "locality": locality,
                "composition": Answer(absent=unasked),
                "timing": Answer(share_of(in_time(begun, when)[counted & only])),
            },
        )


def inside_boxes(boxes: Tensor, clip: Tensor, clips: int, size: tuple[int, int]) -> Tensor:
    """Pixels that lie in any box: ``[n, t, 4]`` fractions of the frame in clips ``[n]`` -> ``[b, t, h, w]`` bool."""
    h, w = size
    x, y = (torch.arange(n) for n in (w, h))
    low, high = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
    across = (x >= (low[..., :1] * w).floor()) & (x < (high[..., :1] * w).ceil())
    down = (y >= (low[..., 1:] * h).floor()) & (y < (high[..., 1:] * h).ceil())
    found = torch.zeros(clips, boxes.shape[1], h, w, dtype=torch.int)
    found.index_add_(0, clip, (down[..., :, None] & across[..., None, :]).int())
    return found > 0


def graph_control(
    task: EvaluationTask,
    classifier: TrainedTrackClassifier,
    clips: ActionGraphBatch,
    generate: Callable[[GenerativeModule, ActionGraphBatch, int], ActionGraphSample],
) -> tuple[Table, dict[str, Any]]:
    """The table of controllability, and what the protocol says of it.

    Args:
        task: of models of action graphs.
        classifier: the judge.
        clips: held out.
        generate: what a model makes of graphs, given a seed.
    """
    settings = task.settings

    def asked(model: GenerativeModule) -> GraphControl:
        return GraphControl(
            lambda request, seed: generate(model.to(task.device), request, seed),
            classifier,
            clips,
            task.info,
            settings.controllability,
            seed=settings.seed,
        )

    runs: Sequence[tuple[GraphControl, int]] = [
        (asked(one.module), seed) for one in task.models for seed in settings.seeds
    ]
    return controllability(task, [Line("trained", "model", "The model.", runs)], [runs[0][0].ceiling()])


def _only(batch: ActionGraphBatch, edges: Tensor) -> ActionGraphBatch:
    graph = batch.graph
    names = ("subject", "action", "object", "progress", "destination")
    kept = {name: getattr(graph, name)[edges] for name in names}
    return replace(batch, graph=replace(graph, **kept))


def _of_all_edges(graph: ClockedGraph, right: Tensor) -> Tensor:
    """``[a]`` verdicts on edges -> ``[b]``: whether all of a clip's are right."""
    clip = graph.clip[graph.subject]
    wrong = torch.zeros(graph.num_clips, dtype=torch.long).index_add_(0, clip, (~right).long())
    return wrong == 0


def _per_clip(graph: ClockedGraph, of_nodes: Tensor) -> Tensor:
    """Sums over the nodes of each clip."""
    return torch.zeros(graph.num_clips, dtype=of_nodes.dtype).index_add_(0, graph.clip, of_nodes)
