"""AG2Vid's training, told once (paper section 4; losses and schedule as released)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.ag2vid.discriminators import ActionDiscriminator, Conditioning
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction
from mutoscope.models.ag2vid.generator import LEARNED, UNLEARNED, Generator, LayoutGenerator, LayoutName, build_layout
from mutoscope.models.ag2vid.layout import Layout, LayoutGCN, LayoutNetwork, layout_loss
from mutoscope.models.ag2vid.losses import (
    AdversarialKind,
    FrameLosses,
    LossWeights,
    discriminator_loss,
    feature_matching_loss,
    flow_loss,
    generator_adversarial_loss,
)
from mutoscope.models.ag2vid.settings import BACKBONES, Perceptual, check_choices, find_perceptual, load_perceptual
from mutoscope.models.base import OptimizerFactory, SchedulerFactory
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.seeding import seeded
from mutoscope.nn.perceptual import FrozenFeatures, perceptual_loss
from mutoscope.nn.spade import Upsampling
from mutoscope.nn.warp import warp
from mutoscope.structures import ActionGraphBatch, ActionGraphPair, ActionGraphSample, DatasetInfo, Kind


@dataclass
class _Part:
    """What the steps of one mini-batch, or a part of it, hand to each other.

    Args:
        clips: with their true frames.
        real: ``[b, t, 3, h, w]`` the true frames, normalised.
        conditioning: what the discriminator makes of graphs and layouts.
        fake: ``[b, t - 1, 3, h, w]`` generated frames, detached; set by the generator's step.
    """

    clips: ActionGraphBatch
    real: Tensor
    conditioning: Conditioning | None
    fake: Tensor | None = None


class AG2Vid(GenerativeModule):
    """Bar, Herzig, Wang, Rohrbach, Chechik, Darrell, Globerson, "Compositional Video Synthesis with Action Graphs".

    Every iteration moves the frame generator (with the appearance network), then the discriminator on the same
    generated frames, then, on other and longer clips, the layout generating function.

    Args:
        info: vocabulary, frame size and normaliser of the data.
        optimizers: factories named ``layout``, ``generator`` and ``discriminator``; those of networks that this model
            does not have are left aside.
        layout: where objects are: ``gcn`` (the paper's), ``rnn``, ``rule``, ``random``, ``copy`` or ``ground_truth``.
        rivals: learned layouts trained beside it on the same clips, for comparison.
        frames: make and train frame networks; without them the layouts are trained alone (Table 4), and settings of
            frames and their losses mean nothing.
        width: of embeddings and graph features (E).
        graph_hidden: of the messages of graph convolutions.
        graph_layers: convolutions of the layout and appearance networks; stacked recurrent layers of ``rnn``.
        clip_progress, only_actions, layout_truncate: see :class:`~mutoscope.models.ag2vid.layout.LayoutGCN`.
        layout_beta: see :func:`~mutoscope.models.ag2vid.layout.layout_loss`.
        geometry_gain: of the initial weights that read boxes, destinations and clocks in layout and appearance
            networks; see :meth:`~mutoscope.models.ag2vid.layout.LayoutNetwork.emphasise`.
        still_start: begin with small last layers, so that an untrained model leaves boxes, and nearly frames, as they
            are.
        appearance_boxes: see :class:`~mutoscope.models.ag2vid.generator.Generator`.
        attribute_width, ngf, spade_hidden, segmap_channels, upsampling: see
            :class:`~mutoscope.models.ag2vid.frames.FrameGeneratingFunction`.
        flow_width, flow_halvings, flow_blocks, flow_multiplier, follow_boxes, carry_objects, align_corners: see
            :class:`~mutoscope.models.ag2vid.frames.FrameGeneratingFunction`.
        per_frame: batch statistics of single frames, one frame after the other, as released.
        previous: whether training frames continue true (``given``, as released) or ``generated`` frames.
        frames_truncate: gradients of generated frames go back so many frames at most.
        checkpoint_activations: compute the largest activations again in the backward pass instead of keeping them.
        steps_in_backward: move parameters as soon as their gradients are complete and free these, instead of keeping
            all gradients until the end of the backward pass; not with clipping, parts of mini-batches, several
            processes or scaled gradients.
        discriminator: train against one (Table 2, last row).
        discriminator_graph_layers: its graph convolutions.
        discriminator_width, discriminator_layers, discriminator_scales: of its PatchGANs.
        carry_state: see :class:`~mutoscope.models.ag2vid.discriminators.ActionDiscriminator`.
        adversarial: which adversarial loss.
        perceptual: whose features compare frames beside the discriminator's: ``vgg19`` (the paper's), ``squeezenet``,
            ``discriminator`` (its alone) or ``none``.
        perceptual_weights: a file with the weights of that network; torchvision's cache by default.
        weights: of the losses.
        channels_last: memory format of the frame networks.
        schedulers, ema_half_life, micro_batches, clip_norm, compile_networks, seed: see :class:`GenerativeModule`.

    Raises:
        ValueError: for settings that contradict each other.
    """

    takes: ClassVar[Kind] = "action_graph"

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Whether the weights of the perceptual network are there.

        Raises:
            MissingBackboneError: saying where they are looked for, and what does without.
        """
        perceptual = settings.get("perceptual", "vgg19")
        if settings.get("frames", True) and perceptual in BACKBONES:
            find_perceptual(perceptual, settings.get("perceptual_weights"))

    def __init__(
        self,
        info: DatasetInfo,
        *,
        optimizers: Mapping[str, OptimizerFactory],
        layout: LayoutName = "gcn",
        rivals: Sequence[LayoutName] = (),
        frames: bool = True,
        width: int = 128,
        graph_hidden: int = 512,
        graph_layers: int = 3,
        clip_progress: bool = False,
        only_actions: bool = False,
        layout_truncate: int | None = None,
        layout_beta: float = 1.0,
        geometry_gain: float = 1.0,
        still_start: bool = False,
        appearance_boxes: Literal["internal", "layout"] = "internal",
        attribute_width: int | None = None,
        flow_width: int = 32,
        flow_halvings: int = 3,
        flow_blocks: int = 6,
        flow_multiplier: float = 20.0,
        ngf: int = 64,
        spade_hidden: int = 128,
        segmap_channels: int | None = None,
        upsampling: Upsampling = "normal",
        follow_boxes: bool = False,
        carry_objects: bool = False,
        align_corners: bool = True,
        per_frame: bool = False,
        previous: Literal["given", "generated"] = "given",
        frames_truncate: int | None = None,
        checkpoint_activations: bool = False,
        steps_in_backward: bool = False,
        discriminator: bool = True,
        discriminator_graph_layers: int = 2,
        discriminator_width: int = 64,
        discriminator_layers: int = 4,
        discriminator_scales: int = 2,
        carry_state: bool = True,
        adversarial: AdversarialKind = "hinge",
        perceptual: Perceptual = "vgg19",
        perceptual_weights: str | None = None,
        weights: Mapping[str, float] | None = None,
        channels_last: bool = False,
        schedulers: Mapping[str, SchedulerFactory] | None = None,
        ema_half_life: float | None = None,
        micro_batches: int = 1,
        clip_norm: float | None = None,
        compile_networks: bool = False,
        seed: int = 0,
    ) -> None:
        check_choices(layout, rivals, frames, previous, perceptual, discriminator, carry_objects)
        discriminator = discriminator and frames
        wanted = {"layout": layout in LEARNED or bool(rivals), "generator": frames, "discriminator": discriminator}
        used = [name for name, is_used in wanted.items() if is_used]
        super().__init__(
            info,
            optimizers={name: factory for name, factory in optimizers.items() if name in used},
            schedulers={name: factory for name, factory in (schedulers or {}).items() if name in used},
            ema_half_life=ema_half_life,
            micro_batches=micro_batches,
            clip_norm=clip_norm,
            compile_networks=compile_networks,
            seed=seed,
        )
        vocabulary = info.need_vocabulary()
        self.frame_size = info.need_frame_size()
        lay_out = partial(
            build_layout,
            vocabulary=vocabulary,
            width=width,
            hidden=graph_hidden,
            layers=graph_layers,
            clip_progress=clip_progress,
            only_actions=only_actions,
        )
        # made before the layouts, so that a seed gives the networks that it always gave
        appearance = lay_out("gcn") if frames else None
        layouts = {name: lay_out(name, truncate=layout_truncate) for name in (layout, *rivals)}
        self._generator: LayoutGenerator
        if appearance is None:
            self._generator = LayoutGenerator(vocabulary, layouts)
        else:
            assert isinstance(appearance, LayoutGCN)
            self._generator = Generator(
                vocabulary,
                layouts,
                appearance,
                FrameGeneratingFunction(
                    vocabulary.sizes,
                    width=width,
                    segmap_channels=segmap_channels,
                    attribute_width=attribute_width,
                    flow_width=flow_width,
                    flow_halvings=flow_halvings,
                    flow_blocks=flow_blocks,
                    flow_multiplier=flow_multiplier,
                    ngf=ngf,
                    spade_hidden=spade_hidden,
                    upsampling=upsampling,
                    recomputed=2 if checkpoint_activations else 0,
                    follow_boxes=follow_boxes,
                    carry_objects=carry_objects,
                    align_corners=align_corners,
                    residual=discriminator or perceptual != "none" or bool((weights or {}).get("pixel")),
                ),
                appearance_boxes=appearance_boxes,
                recompute=checkpoint_activations,
            )
        self.discriminator = (
            ActionDiscriminator(
                vocabulary.sizes,
                len(vocabulary.actions),
                width=width,
                hidden=graph_hidden,
                gcn_layers=discriminator_graph_layers,
                ndf=discriminator_width,
                n_layers=discriminator_layers,
                scales=discriminator_scales,
                carry_state=carry_state,
            )
            if discriminator
            else None
        )
        for graph_network in (*layouts.values(), appearance):
            if isinstance(graph_network, LayoutNetwork):
                graph_network.emphasise(geometry_gain)
        if still_start:
            self._generator.stand_still()
        if channels_last:
            drawing = self._generator.frames if isinstance(self._generator, Generator) else None
            for network in (drawing, self.discriminator):
                if network is not None:
                    network.to(memory_format=torch.channels_last)
        self.steps_in_backward = steps_in_backward
        self.layout_beta = layout_beta
        self.per_frame, self.previous, self.frames_truncate = per_frame, previous, frames_truncate
        self.adversarial, self.weights = adversarial, LossWeights(**(weights or {}))
        self.perceptual, self.perceptual_weights = perceptual, perceptual_weights
        #: loaded when training starts: a trained model generates without them
        self.features: FrozenFeatures | None = None
        self.ready()

    @property
    def generator(self) -> LayoutGenerator:
        """Layouts alone, or a :class:`~mutoscope.models.ag2vid.generator.Generator` that draws frames too."""
        return self._generator

    @property
    def draws(self) -> bool:
        """Whether there are frame networks; without them it lays out boxes alone."""
        return isinstance(self._generator, Generator)

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        networks: dict[str, Sequence[nn.Module]] = {}
        if isinstance(self._generator, Generator):
            networks["generator"] = [self._generator.appearance, self._generator.frames]
        if self.discriminator is not None:
            networks["discriminator"] = [self.discriminator]
        if any(True for _ in self._generator.layouts.parameters()):
            networks["layout"] = [self._generator.layouts]
        return networks

    def setup(self, stage: str) -> None:
        """Load the network behind the perceptual loss.

        Raises:
            MissingBackboneError: if its weights are neither at the given path nor in torchvision's cache.
        """
        if stage == "fit" and isinstance(self._generator, Generator) and self.perceptual in ("vgg19", "squeezenet"):
            self.features = load_perceptual(self.perceptual, self.perceptual_weights)

    # --- training ----------------------------------------------------------------------------------------------------

    def training_step(self, batch: ActionGraphPair, batch_idx: int) -> None:
        if isinstance(self._generator, Generator):
            self._train_frames(batch.frames)
        if "layout" in self.optimizer_names:
            clips = self._clips(batch.layout)
            self.latest["loss/layouts"] = self.update("layout", [partial(self._layout_loss, part) for part in clips])

    def finish_iteration(self, batch: ActionGraphPair) -> None:
        super().finish_iteration(batch if isinstance(self._generator, Generator) else batch.layout)

    def _train_frames(self, batch: ActionGraphBatch) -> None:
        parts = [self._part(clips) for clips in self._clips(batch)]
        self.latest["loss/generator"] = self.update("generator", [partial(self._generator_loss, p) for p in parts])
        if self.discriminator is not None:
            losses = [partial(self._discriminator_loss, part) for part in parts]
            self.latest["loss/discriminator"] = self.update("discriminator", losses)

    def _part(self, clips: ActionGraphBatch) -> _Part:
        if clips.frames is None:
            raise ValueError("AG2Vid learns from frames, but this batch has none.")
        self._check_statistics(clips)
        real = self.normalise(clips.frames)
        # the generator's step moves nothing this depends on, so both steps share it
        judge = self.discriminator
        conditioning = None if judge is None else judge.condition(clips.graph, clips.boxes, self.frame_size)
        return _Part(clips, real, conditioning)

    def _check_statistics(self, clips: ActionGraphBatch) -> None:
        """Raise ``ValueError`` where batch norm would see a single value per channel, which has no deviation."""
        assert isinstance(self._generator, Generator)
        drawing = self._generator.frames
        if not (drawing.training and drawing.residual) or any(
            isinstance(part, nn.SyncBatchNorm) for part in drawing.modules()
        ):
            return
        together = 1 if self.per_frame or self.previous == "generated" else clips.length - 1
        height, width = (side // drawing.generator.reduction for side in self.frame_size)
        if len(clips) * together * height * width == 1:
            raise ValueError(
                f"Batch norm in the frame generator would see one value per channel: one frame of "
                f"{self.frame_size[0]}x{self.frame_size[1]} at a time, {drawing.generator.reduction} times smaller. "
                "Raise dataset.batch_size (model.micro_batches divides it) or dataset.size, or train on given frames, "
                "several at a time (model.previous=given, model.per_frame=false)."
            )

    def _generator_loss(self, part: _Part) -> Tensor:
        assert isinstance(self._generator, Generator)
        clips, target = part.clips, part.real[:, 1:]
        made = self._generator.teach(
            clips.graph,
            clips.boxes,
            part.real,
            per_frame=self.per_frame,
            own=self.previous == "generated",
            detach_every=self.frames_truncate,
        )
        part.fake = made.frames.detach()
        moved = made.warped
        if self.previous == "generated":
            moved = warp(part.real[:, :-1].flatten(0, 1), made.flow.flatten(0, 1), self._generator.frames.align_corners)
            moved = moved.unflatten(0, target.shape[:2])
        adversarial = matching = perceptual = None
        if self.discriminator is not None and part.conditioning is not None:
            known = part.conditioning.detach()
            on_fake = self.discriminator(made.frames, known)
            with torch.no_grad():
                on_real = self.discriminator(target, known)
            adversarial = generator_adversarial_loss(on_fake, self.adversarial)
            matching = feature_matching_loss(on_real, on_fake)
        if self.features is not None:
            perceptual = perceptual_loss(self.features, made.frames.flatten(0, 1), target.flatten(0, 1))
        pixel = F.mse_loss(made.frames.float(), target) if self.weights.pixel else None
        losses = FrameLosses(adversarial, matching, perceptual, flow_loss(moved, target), pixel)
        self.latest |= {f"loss/{n}": term.detach() for n, term in losses._asdict().items() if term is not None}
        return losses.total(self.weights)

    def _discriminator_loss(self, part: _Part) -> Tensor:
        assert self.discriminator is not None
        assert part.conditioning is not None
        assert part.fake is not None
        on_real, on_fake = self.discriminator.compare(part.real[:, 1:], part.fake, part.conditioning)
        losses = discriminator_loss(on_real, on_fake, self.adversarial)
        self.latest |= {
            "health/real_logits": torch.stack([scale[-1].detach().float().mean() for scale in on_real]).mean(),
            "health/fake_logits": torch.stack([scale[-1].detach().float().mean() for scale in on_fake]).mean(),
        }
        return losses.total

    def _layout_loss(self, clips: ActionGraphBatch) -> Tensor:
        losses = []
        for name, layout in self._generator.layouts.items():
            if name in LEARNED:
                found: Layout = layout(clips.graph, clips.boxes[:, 0], clips.length)
                losses.append(
                    self.weights.layout * layout_loss(found.boxes, clips.boxes, clips.graph.real, beta=self.layout_beta)
                )
                self.latest[f"loss/layout_{name}"] = losses[-1].detach()
        return torch.stack(losses).sum()

    def _clips(self, batch: ActionGraphBatch) -> list[ActionGraphBatch]:
        """The mini-batch in ``micro_batches`` equal parts."""
        if self.micro_batches == 1:
            return [batch]
        (numbers,) = zip(*self.parts(torch.arange(len(batch))), strict=True)
        return [batch.select(part.tolist()) for part in numbers]

    def normalise(self, frames: Tensor) -> Tensor:
        """``[..., 3, h, w]`` uint8 -> normalised by ImageNet's mean and deviation."""
        normaliser = self.info.need_normaliser()
        return normaliser.normalise(frames.movedim(-3, -1).to(torch.float32)).movedim(-1, -3).contiguous()

    def denormalise(self, frames: Tensor) -> Tensor:
        """The way back: clipped and rounded to uint8."""
        values = self.info.need_normaliser().denormalise(frames.float().movedim(-3, -1))
        return values.clamp(0, 255).round().to(torch.uint8).movedim(-1, -3).contiguous()

    # --- layouts ------------------------------------------------------------------------------------------------------

    @property
    def layouts(self) -> list[LayoutName]:
        """Ways in which :meth:`lay_out` makes layouts: the model's own first, then its rivals and the baselines."""
        return list(dict.fromkeys([*self._generator.names, *UNLEARNED]))

    @torch.inference_mode()
    def lay_out(self, batch: ActionGraphBatch, layout: LayoutName | None = None, *, seed: int = 0) -> Tensor:
        """Boxes ``[n, t, 4]`` for the graphs and first boxes of a batch, on the model's device.

        Args:
            batch: what is asked for; all its boxes are read by ``ground_truth`` alone.
            layout: instead of the model's own.
            seed: of random layouts.
        """
        generator: LayoutGenerator = self.averaged.eval()  # type: ignore[assignment]
        given = batch.to(self.device)
        with seeded(seed, self.device):
            found = generator.lay_out(given.graph, given.boxes[:, 0], given.length, given.boxes, layout)
        if self.training:
            self.generator.train()
        return found.boxes

    # --- generation --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def generate(
        self,
        batch: ActionGraphBatch,
        *,
        seed: int = 0,
        length: int | None = None,
        layout: LayoutName | None = None,
        batch_size: int = 16,
    ) -> ActionGraphSample:
        """Videos for action graphs, first frames and first boxes.

        Args:
            batch: what is asked for; only the first frame and the first boxes of every clip are read, unless
                ``layout="ground_truth"``.
            seed: of random layouts; nothing else is random.
            length: frames; those of the batch by default. Actions keep their pace: a longer clip shows what happens
                after the shorter one.
            layout: instead of the model's own.
            batch_size: clips at a time.

        Returns:
            ``fake: [b, t, 3, h, w]`` uint8, whose first frame is the given one; all are where no frame networks were
            trained (``drawn`` is false).

        Raises:
            ValueError: if there are no frames, fewer than 2 are asked for, or true boxes are wanted for more frames
                than there are.
        """
        if batch.frames is None:
            raise ValueError("A first frame is needed to generate from; this batch has none.")
        steps = batch.length if length is None else length
        if steps < 2:
            raise ValueError(f"{steps} frame(s) are asked for, expected at least 2: a first frame and one to generate.")
        asked = batch if steps == batch.length else replace(batch, graph=batch.graph.lasting(steps / batch.length))
        generator: LayoutGenerator = self.averaged.eval()  # type: ignore[assignment]
        frames, boxes = [], []
        with seeded(seed, self.device):
            for first in range(0, len(batch), batch_size):
                part = asked.select(range(first, min(first + batch_size, len(batch)))).to(self.device)
                assert part.frames is not None
                given = part.frames[:, 0]
                start = part.boxes[:, 0]
                if isinstance(generator, Generator):
                    video = generator(part.graph, start, self.normalise(given), steps, part.boxes, layout)
                    frames.append(torch.cat([given[:, None], self.denormalise(video.frames)], dim=1))
                    boxes.append(video.boxes)
                else:
                    frames.append(given[:, None].expand(-1, steps, -1, -1, -1))
                    boxes.append(generator.lay_out(part.graph, start, steps, part.boxes, layout).boxes)
        if self.training:
            self.generator.train()
        info = self.info if length is None else self.info.with_length(length)
        real = batch.frames.to(self.device) if batch.frames.shape[1] == steps else None
        return ActionGraphSample(
            fake=torch.cat(frames),
            info=info,
            real=real,
            asked=asked.to(self.device),
            boxes=torch.cat(boxes),
            drawn=self.draws,
        )
