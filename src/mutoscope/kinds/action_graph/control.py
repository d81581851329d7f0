"""Does the model do what is asked, when it is asked? Graphs made for the question, from true first frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from mutoscope.metrics.actions import ComposedAccuracy, TrackClassifier
from mutoscope.metrics.tracks import DestinationError, TimingAccuracy
from mutoscope.structures import ActionGraphBatch, ActionGraphSample, ActionVocabulary, ClockedGraph, DatasetInfo
from mutoscope.structures.action_graph import ActionGraph, GraphError
from mutoscope.structures.recipes import EARLY, LATE, down_left, huddle, right_up, swap

Generate = Callable[[ActionGraphBatch], ActionGraphSample]


@dataclass(frozen=True)
class ControlRow:
    """One question and its answer.

    Args:
        question: e.g. ``timing of slide``.
        cases: clips, or pairs of clips, asked.
        value: share answered as asked, or ``None`` where there was no case.
        by_chance: what a model that ignores the question would get at most, where that is known.
        deviation: of the value over runs, where there are several.
        absent: why there is no value.
    """

    question: str
    cases: int
    value: float | None
    by_chance: float | None = None
    deviation: float | None = None
    absent: str = ""


def asks(batch: ActionGraphBatch, graph: ClockedGraph) -> ActionGraphBatch:
    """The same first frames under other graphs; the true frames after the first do not belong to them."""
    frames = batch.frames
    assert frames is not None
    held = frames[:, :1].expand_as(frames)
    boxes = batch.boxes[:, :1].expand_as(batch.boxes)
    return ActionGraphBatch(graph, boxes, held, batch.names)


def one_edge_each(graph: ClockedGraph, action: int) -> tuple[Tensor, Tensor]:
    """Clips that have an edge of an action, and the first such edge of each: ``[k]`` and ``[k]``."""
    edges = (graph.action == action).nonzero()[:, 0]
    clips = graph.clip[graph.subject[edges]]
    order = torch.argsort(clips, stable=True)
    edges, clips = edges[order], clips[order]
    first = torch.ones_like(clips, dtype=torch.bool)
    first[1:] = clips[1:] != clips[:-1]
    return clips[first], edges[first]


def with_edges(graph: ClockedGraph, edges: Tensor, clock: tuple[float, float]) -> ClockedGraph:
    """Only some edges of a graph, all with one clock."""
    return replace(
        graph,
        subject=graph.subject[edges],
        action=graph.action[edges],
        object=graph.object[edges],
        progress=graph.progress.new_tensor(clock).repeat(len(edges), 1),
        destination=graph.destination[edges],
    )


def timing_rows(
    clips: ActionGraphBatch, generate: Generate, info: DatasetInfo, pairs_per_action: int
) -> Iterator[ControlRow]:
    """Pairs of clips whose only action happens in the first third or after two thirds (spec section 9, "Timing")."""
    vocabulary = info.need_vocabulary()
    for name in vocabulary.action_names:
        action = vocabulary.action(name)
        if name == "no_op":
            continue
        having, edges = one_edge_each(clips.graph, action)
        having, edges = having[:pairs_per_action], edges[:pairs_per_action]
        if not len(having):
            yield ControlRow(f"{name}: starts when asked", 0, None, 0.5, absent="no clip shows this action.")
            continue
        early, late = (asks(clips, with_edges(clips.graph, edges, clock)) for clock in (EARLY, LATE))
        early, late = (batch.select(having.tolist()) for batch in (early, late))
        first, second = generate(early), generate(late)
        metric = TimingAccuracy(info)
        # actions that move no box are seen in pixels alone
        frames = (first.fake.cpu(), second.fake.cpu()) if first.drawn else ()
        metric.update(early.graph, late.graph, first.boxes.cpu(), second.boxes.cpu(), *frames)
        yield _answered(f"{name}: starts when asked", len(having), metric, 0.5)


def composed(clips: ActionGraphBatch, vocabulary: ActionVocabulary, seed: int) -> dict[str, ActionGraphBatch]:
    """The paper's composed actions on true first frames (Table 5), by name; scenes without room are left out."""
    recipes: dict[str, Callable[[ActionGraph, Sequence[int]], ActionGraph]]
    if vocabulary.image_node:
        recipes = {
            "swap": lambda g, order: swap(g.objects, g.length, *(g.names[i] for i in order[:2])),
            "huddle": lambda g, order: huddle(g.objects, g.length),
        }
    else:
        recipes = {
            "right_up": lambda g, order: right_up(g.objects, g.length),
            "down_left": lambda g, order: down_left(g.objects, g.length),
        }
    random = torch.Generator().manual_seed(seed)
    scenes = [
        ActionGraph.from_clocked(clips.graph, clip, clips.boxes, vocabulary, clips.length) for clip in range(len(clips))
    ]
    orders = [torch.randperm(len(scene.objects), generator=random).tolist() for scene in scenes]
    found = {}
    for name, recipe in recipes.items():
        numbers, graphs = [], []
        for clip, (scene, order) in enumerate(zip(scenes, orders, strict=True)):
            try:
                graph = recipe(scene, order)
            except GraphError:
                continue
            numbers.append(clip)
            graphs.append(graph.clocked(vocabulary))
        if numbers:
            found[name] = asks(clips.select(numbers), ClockedGraph.cat(graphs))
    return found


def composed_rows(
    clips: ActionGraphBatch, generate: Generate, info: DatasetInfo, classifier: TrackClassifier, seed: int
) -> Iterator[ControlRow]:
    """Whether all actions of a composed graph are recognised in the generated tracks, and how many of them are."""
    for name, asked in composed(clips, info.need_vocabulary(), seed).items():
        sample = generate(asked)
        for single, words in ((False, "all its actions recognised"), (True, "single actions recognised")):
            metric = ComposedAccuracy(classifier, single=single)
            metric.update(sample.boxes.cpu(), asked.boxes, asked.graph)
            yield _answered(f"{name}: {words}", int(metric.count), metric)


def arrival_rows(clips: ActionGraphBatch, sample: ActionGraphSample, info: DatasetInfo) -> Iterator[ControlRow]:
    """How near to their destinations objects arrive, and how near they were without moving."""
    if not info.need_vocabulary().destinations:
        return
    boxes = sample.boxes.cpu()
    for of, words in (("fake", "generated"), ("real", "true clip"), ("first", "if nothing moved")):
        metric = DestinationError(info, of=of)  # type: ignore[arg-type]
        metric.update(boxes, clips.boxes, clips.graph)
        yield _answered(f"distance from the destination on arrival, {words}", int(metric.count), metric)


def control_over_runs(runs: Sequence[Sequence[ControlRow]]) -> list[ControlRow]:
    """The answers of several runs as means and deviations; a question that one run has no answer to has none."""
    if len(runs) == 1:
        return list(runs[0])
    by_question: dict[str, list[ControlRow]] = {}
    for row in (row for rows in runs for row in rows):
        by_question.setdefault(row.question, []).append(row)
    merged = []
    for rows in by_question.values():
        values = [row.value for row in rows if row.value is not None]
        whole = len(values) == len(runs)
        absent = next((row.absent for row in rows if row.absent), "") if not whole else ""
        merged.append(
            replace(
                rows[0],
                value=fmean(values) if whole else None,
                deviation=stdev(values) if whole else None,
                absent=absent,
            )
        )
    return merged


def _answered(question: str, cases: int, metric: Any, by_chance: float | None = None) -> ControlRow:
    """A question with the value of a metric, or with the reason why there is none."""
    try:
        value = float(metric.compute())
    except ValueError as error:
        return ControlRow(question, 0, None, by_chance, absent=str(error))
    if not isfinite(value):
        return ControlRow(question, cases, None, by_chance, absent=f"it came out as {value}, which is no number.")
    return ControlRow(question, cases, value, by_chance)
