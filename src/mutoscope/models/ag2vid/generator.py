"""AG2Vid's whole generator: where everything is (layout), what it looks like there (appearance), and the frames."""

from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from mutoscope.models.ag2vid.conditions import LEARNED
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction, Frames
from mutoscope.models.ag2vid.layout import Layout, LayoutGCN, LayoutNetwork
from mutoscope.models.ag2vid.layout_baselines import (
    LayoutCopy,
    LayoutGroundTruth,
    LayoutRandom,
    LayoutRNN,
    LayoutRule,
)
from mutoscope.models.ag2vid.settings import FrameTraining, LayoutName, LayoutSettings
from mutoscope.structures import ActionVocabulary, ClockedGraph


class Video(NamedTuple):
    """What the generator makes of action graphs.

    Args:
        frames: ``[b, t - 1, 3, h, w]`` normalised by ImageNet's mean and deviation, without the given first frame.
        boxes: ``[n, t, 4]`` the layout.
    """

    frames: Tensor
    boxes: Tensor


def build_layout(
    name: LayoutName,
    vocabulary: ActionVocabulary,
    *,
    width: int = 128,
    hidden: int = 512,
    layers: int = 3,
    clip_progress: bool = False,
    only_actions: bool = False,
    truncate: int | None = None,
    checkpoint_steps: bool = False,
) -> nn.Module:
    """A layout generating function by name (paper, section 4.1 and the baselines of Table 4).

    Args:
        name: of the function.
        vocabulary: of the data.
        width, hidden, layers, clip_progress, only_actions, truncate, checkpoint_steps: of those that learn, see
            :class:`LayoutGCN` and :class:`LayoutRNN`.

    Raises:
        ValueError: for an unknown name.
    """
    if name in LEARNED:
        network = LayoutGCN if name == "gcn" else LayoutRNN
        return network(
            vocabulary.sizes,
            len(vocabulary.predicates),
            len(vocabulary.actions),
            vocabulary.padding_action,
            width=width,
            hidden=hidden,
            layers=layers,
            clip_progress=clip_progress,
            only_actions=only_actions,
            truncate=truncate,
            checkpoint_steps=checkpoint_steps,
        )
    if name == "rule":
        return LayoutRule(vocabulary)
    if name not in get_args(LayoutName):
        raise ValueError(f"There is no layout '{name}'; choose one of {', '.join(get_args(LayoutName))}.")
    return {"random": LayoutRandom, "ground_truth": LayoutGroundTruth, "copy": LayoutCopy}[name]()


class LayoutGenerator(nn.Module):
    """``p(l | A, l_1)``: where everything is, and nothing to draw it with (paper, section 4.1).

    Args:
        vocabulary: of the data, for layouts that are asked for by name.
        layouts: by name; the first decides where objects are, others are trained beside it for comparison.
    """

    def __init__(self, vocabulary: ActionVocabulary, layouts: Mapping[LayoutName, nn.Module]) -> None:
        super().__init__()
        self.vocabulary, self.names = vocabulary, tuple(layouts)
        self.layouts = nn.ModuleDict({str(name): network for name, network in layouts.items()})

    @torch.no_grad()
    def stand_still(self) -> None:
        """Clear the layers that say how boxes change, so that boxes rest; call before training."""
        for network in self.layouts.values():
            if isinstance(network, LayoutNetwork):
                for parameter in network.box[-1].parameters():
                    parameter.zero_()

    def layout(self, name: LayoutName | None = None) -> nn.Module:
        """A layout generating function; the generator's own where no name is given.

        Raises:
            ValueError: for a learned layout that is not part of this generator, or an unknown name.
        """
        name = name or self.names[0]
        if name in self.layouts:
            return self.layouts[name]
        if name in LEARNED:
            raise ValueError(
                f"This generator has no trained '{name}' layout; it has {', '.join(self.layouts)}. "
                "Train one with model.layout.name or model.layout.rivals."
            )
        return build_layout(name, self.vocabulary)

    def lay_out(
        self,
        graph: ClockedGraph,
        first_boxes: Tensor,
        length: int,
        given: Tensor | None = None,
        name: LayoutName | None = None,
    ) -> Layout:
        """Boxes of all frames.

        Args:
            graph: of ``b`` clips.
            first_boxes: ``[n, 4]``.
            length: frames ``t``, the first one included.
            given: ``[n, t, 4]`` true boxes, which reach ``ground_truth`` alone.
            name: of a layout instead of the generator's own.
        """
        name = name or self.names[0]
        found: Layout = self.layout(name)(graph, first_boxes, length, given if name == "ground_truth" else None)
        return found


class Generator(LayoutGenerator):
    """``p(v, l | A, v_1, l_1)``: layout first, then frame after frame (paper, equation 1).

    Args:
        vocabulary, layouts: see :class:`LayoutGenerator`.
        appearance: a second graph network whose descriptors tell the frame generator what happens to every object.
        frames: draws.
        appearance_boxes: whether the appearance network rolls out boxes of its own (``internal``, as released) or sees
            those of the layout.
        recompute: in training on generated frames, keep only the frames and compute the rest again backwards.
    """

    def __init__(
        self,
        vocabulary: ActionVocabulary,
        layouts: Mapping[LayoutName, nn.Module],
        appearance: LayoutGCN,
        frames: FrameGeneratingFunction,
        appearance_boxes: Literal["internal", "layout"] = "internal",
        recompute: bool = False,
    ) -> None:
        super().__init__(vocabulary, layouts)
        if appearance_boxes not in ("internal", "layout"):
            raise ValueError(f"appearance_boxes is '{appearance_boxes}', expected internal or layout.")
        self.appearance, self.frames = appearance, frames
        self.appearance_boxes, self.recompute = appearance_boxes, recompute

    @torch.no_grad()
    def stand_still(self) -> None:
        """Shrink the layers that say how boxes and pixels change; call before training.

        Boxes then rest. The last layers of the frame networks only become a tenth of what they are: from zero on, the
        layers before them would learn nothing at first.
        """
        super().stand_still()
        last = [self.frames.flow.flow, *([self.frames.generator.last] if self.frames.residual else [])]
        for layer in last:
            for parameter in layer.parameters():
                parameter.mul_(0.1)

    def describe(self, graph: ClockedGraph, boxes: Tensor) -> Tensor:
        """Descriptors ``z: [n, t, E]`` of all objects for a layout ``[n, t, 4]``."""
        given = boxes if self.appearance_boxes == "layout" else None
        described: Layout = self.appearance(graph, boxes[:, 0], boxes.shape[1], given)
        return described.need_descriptors()

    def teach(
        self,
        graph: ClockedGraph,
        boxes: Tensor,
        frames: Tensor,
        *,
        per_frame: bool = False,
        own: bool = False,
        detach_every: int | None = None,
    ) -> Frames:
        """Frames as trained: from the true layout and true previous frames, unless ``own`` ones are asked for.

        Args:
            graph: of ``b`` clips.
            boxes: ``[n, t, 4]`` the true layout.
            frames: ``[b, t, 3, h, w]`` normalised, the true ones.
            per_frame, detach_every: see :class:`~mutoscope.models.ag2vid.frames.FrameGeneratingFunction`.
            own: make every frame from the one generated before.
        """
        made: Frames = self.frames(
            graph,
            boxes,
            self.describe(graph, boxes),
            frames,
            autoregressive=own,
            per_frame=per_frame,
            detach_every=detach_every if own else None,
            recompute_frames=own and self.recompute,
        )
        return made

    def forward(
        self,
        graph: ClockedGraph,
        first_boxes: Tensor,
        first_frame: Tensor,
        length: int,
        given: Tensor | None = None,
        layout: LayoutName | None = None,
    ) -> Video:
        """Generate.

        Args:
            graph: of ``b`` clips.
            first_boxes: ``[n, 4]``.
            first_frame: ``[b, 3, h, w]`` normalised.
            length: frames ``t``, the given one included.
            given: ``[n, t, 4]`` true boxes, for ``layout="ground_truth"``.
            layout: instead of the generator's own.
        """
        found = self.lay_out(graph, first_boxes, length, given, layout)
        described = self.describe(graph, found.boxes)
        made: Frames = self.frames(graph, found.boxes, described, first_frame[:, None], autoregressive=True)
        return Video(made.frames, found.boxes)


def build_generator(
    vocabulary: ActionVocabulary,
    layout: LayoutSettings,
    frames: FrameTraining | None,
    *,
    width: int = 128,
    hidden: int = 512,
    residual: bool = True,
    still_start: bool = False,
) -> LayoutGenerator:
    """A :class:`Generator`, or a :class:`LayoutGenerator` where there are no frames.

    Args:
        vocabulary: of the data.
        layout, frames: settings of its parts.
        width: of embeddings and graph features (E).
        hidden: of the messages of graph convolutions.
        residual: see :class:`~mutoscope.models.ag2vid.frames.FrameGeneratingFunction`.
        still_start: begin with small last layers, see :meth:`Generator.stand_still`.
    """
    lay_out = partial(
        build_layout,
        vocabulary=vocabulary,
        width=width,
        hidden=hidden,
        layers=layout.layers,
        clip_progress=layout.clip_progress,
        only_actions=layout.only_actions,
    )
    # made before the layouts, so that a seed gives the networks that it always gave
    appearance = None if frames is None else lay_out("gcn")
    layouts = {name: lay_out(name, truncate=layout.truncate) for name in (layout.name, *layout.rivals)}
    if frames is None or appearance is None:
        generator = LayoutGenerator(vocabulary, layouts)
    else:
        assert isinstance(appearance, LayoutGCN)
        recomputed = 2 if frames.checkpoint_activations else 0
        drawing = FrameGeneratingFunction(
            vocabulary.sizes, frames, width=width, recomputed=recomputed, residual=residual
        )
        generator = Generator(
            vocabulary, layouts, appearance, drawing, frames.appearance_boxes, frames.checkpoint_activations
        )
    for network in (*layouts.values(), appearance):
        if isinstance(network, LayoutNetwork):
            network.emphasise(layout.geometry_gain)
    if still_start:
        generator.stand_still()
    return generator
