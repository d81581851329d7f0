"""Graph pyramids: a skeleton and three coarser graphs of it, the scaffold of Kinetic-GAN's generator and critic."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mutoscope.structures.graph import partition_adjacency
from mutoscope.structures.skeleton import H36M16, NTU25, Skeleton

Edges = tuple[tuple[int, int], ...]

_MAX_DEGREE = 10


@dataclass(frozen=True)
class PyramidLevel:
    """One graph of a pyramid; edges and centre count within the level.

    Args:
        joints: joint numbers of the full skeleton that are alive here, increasing.
        edges: undirected edges ``(a, b)``.
        centre: the joint from which the partition measures distance.
    """

    joints: tuple[int, ...]
    edges: Edges
    centre: int

    @property
    def num_joints(self) -> int:
        return len(self.joints)


@dataclass(frozen=True)
class GraphPyramid:
    """A skeleton graph and its coarser versions, ending in one joint (Kinetic-GAN, section 3.1).

    Level 0 is the full skeleton; each further level keeps some joints of the level before.

    Args:
        name: for messages and checkpoints; the skeleton's name.
        levels: finest first.

    Raises:
        ValueError: if the tables do not fit together: level 0 must hold joints 0, 1, ...; survivors must increase and
            come from the level before; every dropped joint must touch a survivor; the last level has one joint.
    """

    name: str
    levels: tuple[PyramidLevel, ...]

    def __post_init__(self) -> None:
        if len(self.levels) < 2:
            raise ValueError(f"Pyramid '{self.name}' has {len(self.levels)} levels, it needs at least 2.")
        first, last = self.levels[0], self.levels[-1]
        if first.joints != tuple(range(first.num_joints)):
            raise ValueError(f"Pyramid '{self.name}': level 0 must hold joints 0, 1, ..., found {first.joints}.")
        if last.num_joints != 1:
            raise ValueError(
                f"Pyramid '{self.name}': the last level has {last.num_joints} joints, it must have exactly one."
            )
        for number, level in enumerate(self.levels):
            self._check_level(number, level)
        for number in range(len(self.levels) - 1):
            self._check_step(number)

    def _check_level(self, number: int, level: PyramidLevel) -> None:
        where, v = f"Pyramid '{self.name}', level {number}", level.num_joints
        if any(a >= b for a, b in zip(level.joints, level.joints[1:], strict=False)):
            raise ValueError(f"{where}: joints must increase, found {level.joints}.")
        if bad := [edge for edge in level.edges if not all(0 <= j < v for j in edge) or edge[0] == edge[1]]:
            raise ValueError(f"{where}: edge {bad[0]} does not join two different joints of 0..{v - 1}.")
        if not 0 <= level.centre < v:
            raise ValueError(f"{where}: the centre is joint {level.centre}, but its joints are 0..{v - 1}.")

    def _check_step(self, number: int) -> None:
        fine, coarse = self.levels[number], self.levels[number + 1]
        if strangers := sorted(set(coarse.joints) - set(fine.joints)):
            raise ValueError(
                f"Pyramid '{self.name}': level {number + 1} holds joint {strangers[0]}, "
                f"which is not alive at level {number}."
            )
        neighbours = _neighbours(fine.num_joints, fine.edges)
        keep = set(self.keep(number))
        for joint in range(fine.num_joints):
            if joint not in keep and not neighbours[joint] & keep:
                raise ValueError(
                    f"Pyramid '{self.name}': joint {fine.joints[joint]} is dropped after level {number} but touches "
                    f"no survivor; keep it or one of its neighbours."
                )

    @classmethod
    def from_tables(
        cls,
        name: str,
        joints: Sequence[Sequence[int]],
        edges: Sequence[Sequence[tuple[int, int]]],
        centre: int,
    ) -> "GraphPyramid":
        """Explicit tables for a skeleton of your own.

        Args:
            name: for messages.
            joints: per level, the joint numbers of the full skeleton that are alive.
            edges: per level, edges in the level's own numbering.
            centre: centre joint in the full skeleton's numbering; it must survive to the last level.

        Raises:
            ValueError: if the centre is dropped or the tables are inconsistent (see the class).
        """
        if len(joints) != len(edges):
            raise ValueError(f"Pyramid '{name}' got joints for {len(joints)} levels but edges for {len(edges)}.")
        if lost := [number for number, alive in enumerate(joints) if centre not in alive]:
            raise ValueError(f"Pyramid '{name}': the centre, joint {centre}, is not alive at level {lost[0]}.")
        return cls(
            name,
            tuple(
                PyramidLevel(tuple(alive), tuple((a, b) for a, b in bonds), list(alive).index(centre))
                for alive, bonds in zip(joints, edges, strict=True)
            ),
        )

    @property
    def num_joints(self) -> int:
        """Joints of the full skeleton."""
        return self.levels[0].num_joints

    def adjacency(self, level: int) -> Tensor:
        """Partition stack of a level, ``[3, v, v]`` float32 (see ``partition_adjacency``)."""
        graph = self.levels[level]
        return partition_adjacency(graph.num_joints, graph.edges, graph.centre)

    def keep(self, level: int) -> tuple[int, ...]:
        """Joints of a level, in its own numbering, that survive to the next one."""
        return tuple(self.levels[level].joints.index(joint) for joint in self.levels[level + 1].joints)

    def upsampling(self, level: int) -> Tensor:
        """Matrix ``[fine, coarse]`` float32 that carries features from ``level + 1`` up to ``level``.

        Survivors copy their value; every other joint takes the mean of the survivors it touches. From the one-joint
        level the new joints get half of that (as released; the paper has no such factor).
        """
        fine, coarse = self.levels[level], self.levels[level + 1]
        keep = self.keep(level)
        neighbours = _neighbours(fine.num_joints, fine.edges)
        halving = 0.5 if coarse.num_joints == 1 else 1.0
        matrix = torch.zeros(fine.num_joints, coarse.num_joints, dtype=torch.float64)
        for joint in range(fine.num_joints):
            if joint in keep:
                matrix[joint, keep.index(joint)] = 1.0
            else:
                sources = [column for column, survivor in enumerate(keep) if survivor in neighbours[joint]]
                matrix[joint, sources] = halving / len(sources)
        return matrix.to(torch.float32)


def _neighbours(num_joints: int, edges: Sequence[tuple[int, int]]) -> list[set[int]]:
    neighbours: list[set[int]] = [set() for _ in range(num_joints)]
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    return neighbours


def derive_pyramid(skeleton: Skeleton, spare: Sequence[int] = ()) -> GraphPyramid:
    """The four-level pyramid of any skeleton, by the released coarsening rule.

    A round scans the joints for degree 1, 2, ...: a joint of exactly that degree goes unless one of its neighbours
    went before it; its neighbours are spared and joined to each other. When a single ring is left, all of it goes but
    the spared joints. The centre joint always stays and ends up alone: where the third round would leave others, they
    go too, and those out of its reach are tied to it at the level before (needed from about 30 joints on).

    Args:
        skeleton: bones, extra edges and centre are read.
        spare: joints that the first round may not drop (the released Human3.6M pyramid spares the head).

    Raises:
        ValueError: if a joint belongs to no bone or edge, so that nothing can stand in for it.
    """
    centre = skeleton.centre
    graph = {joint: set(adjacent) for joint, adjacent in enumerate(_neighbours(skeleton.num_joints, skeleton.edges))}
    graphs = [graph, _coarsen(graph, {centre, *spare})]
    graphs.append(_coarsen(graphs[1], {centre}))
    if len(_coarsen(graphs[2], {centre})) > 1:
        for joint in graphs[2].keys() - {centre}:
            graphs[2][joint].add(centre)
            graphs[2][centre].add(joint)
    joints = [*(sorted(graph) for graph in graphs), [centre]]
    edges = [
        [(alive.index(a), alive.index(b)) for a in alive for b in sorted(graph[a]) if a < b]
        for alive, graph in zip(joints, graphs, strict=False)
    ]
    return GraphPyramid.from_tables(skeleton.name, joints, [*edges, []], centre)


def _coarsen(graph: dict[int, set[int]], stay: set[int]) -> dict[int, set[int]]:
    """One round; ``graph`` maps each joint to its neighbours, ``stay`` never goes."""
    graph = {joint: set(adjacent) for joint, adjacent in graph.items()}
    spared: set[int] = set()
    for degree in range(1, _MAX_DEGREE + 1):
        marked: set[int] = set()
        for joint in sorted(graph):
            if len(graph[joint]) == degree and joint not in spared | stay:
                marked.add(joint)
                spared |= graph[joint]
                for a in graph[joint]:
                    graph[a] |= graph[joint] - {a}
        graph = _without(graph, marked)
        rest = set(graph) - spared - stay
        if _is_ring(graph) and all(graph[joint] - rest for joint in rest):
            graph = _without(graph, rest)
    return graph


def _without(graph: dict[int, set[int]], gone: set[int]) -> dict[int, set[int]]:
    return {joint: adjacent - gone for joint, adjacent in graph.items() if joint not in gone}


def _is_ring(graph: dict[int, set[int]]) -> bool:
    """Whether all joints lie on one cycle without chords."""
    if len(graph) < 3 or any(len(adjacent) != 2 for adjacent in graph.values()):
        return False
    reached, frontier = set[int](), {next(iter(graph))}
    while frontier:
        reached |= frontier
        frontier = {b for a in frontier for b in graph[a]} - reached
    return len(reached) == len(graph)


_NTU25_PYRAMID = GraphPyramid.from_tables(
    "ntu25",
    joints=(range(25), (0, 2, 5, 7, 9, 11, 13, 14, 17, 18, 20), (5, 9, 13, 17, 20), (20,)),
    edges=(
        NTU25.edges,
        ((0, 10), (0, 6), (0, 8), (1, 10), (2, 10), (2, 3), (4, 10), (4, 5), (6, 7), (8, 9)),
        ((0, 4), (1, 4), (2, 4), (2, 3), (3, 4)),
        (),
    ),
    centre=20,
)

_H36M16_PYRAMID = GraphPyramid.from_tables(
    "h36m16",
    joints=(range(16), (0, 2, 5, 8, 9, 11, 14), (0, 8), (8,)),
    edges=(H36M16.edges, ((0, 1), (0, 2), (0, 3), (3, 4), (3, 5), (3, 6)), ((0, 1),), ()),
    centre=8,
)

PYRAMIDS: dict[str, GraphPyramid] = {pyramid.name: pyramid for pyramid in (_NTU25_PYRAMID, _H36M16_PYRAMID)}


def pyramid_for(skeleton: Skeleton | GraphPyramid) -> GraphPyramid:
    """The released pyramid of NTU and Human3.6M (16 joints), a derived one for other skeletons.

    A pyramid is passed through, so that networks take either.

    Raises:
        ValueError: if none can be derived (see ``derive_pyramid``).
    """
    if isinstance(skeleton, GraphPyramid):
        return skeleton
    known = PYRAMIDS.get(skeleton.name)
    if known is not None and (known.levels[0].edges, known.levels[0].centre) == (skeleton.edges, skeleton.centre):
        return known
    return derive_pyramid(skeleton)
