"""AG2Vid's training, told once (paper section 4; losses and schedule as released)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mutoscope.models.ag2vid import conditions
from mutoscope.models.ag2vid.conditions import LEARNED, WITHOUT_FILE, draws
from mutoscope.models.ag2vid.discriminators import ActionDiscriminator, Conditioning
from mutoscope.models.ag2vid.generation import make_videos, normalised
from mutoscope.models.ag2vid.generator import Generator, LayoutGenerator, build_generator
from mutoscope.models.ag2vid.layout import Layout, layout_loss
from mutoscope.models.ag2vid.losses import (
    FrameLosses,
    LossWeights,
    discriminator_loss,
    feature_matching_loss,
    flow_loss,
    generator_adversarial_loss,
)
from mutoscope.models.ag2vid.older import without_undrawn
from mutoscope.models.ag2vid.reference.original import read_original
from mutoscope.models.ag2vid.settings import (
    UNLEARNED,
    DiscriminatorTraining,
    FrameTraining,
    LayoutName,
    LayoutSettings,
    check_together,
    refuse_unread,
)
from mutoscope.models.base import keep_only
from mutoscope.models.generative import GenerativeModule, GenerativeSettings
from mutoscope.models.originals import Original, OriginalData
from mutoscope.models.perceptual import load_perceptual
from mutoscope.models.seeding import seeded
from mutoscope.nn.perceptual import FrozenFeatures, perceptual_loss
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


class AG2Vid(GenerativeModule[ActionGraphBatch, ActionGraphSample]):
    """Bar, Herzig, Wang, Rohrbach, Chechik, Darrell, Globerson, "Compositional Video Synthesis with Action Graphs".

    Every iteration moves the frame generator (with the appearance network), then the discriminator on the same
    generated frames, then, on other and longer clips, the layout generating function.

    Args:
        info: vocabulary, frame size and normaliser of the data.
        layout: where objects are.
        frames: make and train frame networks; without them the layouts are trained alone (Table 4).
        discriminator: train frames against one; ``None`` is Table 2 but for its last row. Without frames there is none.
        width: of embeddings and graph features (E).
        graph_hidden: of the messages of graph convolutions.
        still_start: small last layers at first: an untrained model leaves boxes, and nearly frames, as they are.
        weights: of the losses that there are.
        steps_in_backward: move parameters as soon as their gradients are complete and free these, instead of keeping
            all gradients until the end of the backward pass; not with clipping, parts of mini-batches, several
            processes or scaled gradients.
        optimizers: named ``layout``, ``generator``, ``discriminator``; those of networks that are not are left aside.
        schedulers, ema_half_life, micro_batches, clip_norm, compile_networks, seed: see :class:`GenerativeModule`.

    Raises:
        ValueError: for settings that contradict each other.
    """

    takes: ClassVar[Kind] = "action_graph"

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """See :func:`~.conditions.check` and :func:`~.settings.refuse_unread`."""
        conditions.check(settings)
        refuse_unread(settings)

    @classmethod
    def from_original(cls, path: Path, data: OriginalData) -> Original:
        return read_original(path, data)

    def __init__(
        self,
        info: DatasetInfo,
        *,
        layout: LayoutSettings = LayoutSettings(),
        frames: FrameTraining | None = FrameTraining(),
        discriminator: DiscriminatorTraining | None = DiscriminatorTraining(),
        width: int = 128,
        graph_hidden: int = 512,
        still_start: bool = False,
        weights: LossWeights = LossWeights(),
        steps_in_backward: bool = False,
        **training: Unpack[GenerativeSettings],
    ) -> None:
        check_together(layout, frames, discriminator, weights)
        discriminator = None if frames is None else discriminator
        wanted = {"layout": layout.learns, "generator": frames is not None, "discriminator": discriminator is not None}
        keep_only(training, [name for name, is_wanted in wanted.items() if is_wanted])
        super().__init__(info, **training)
        vocabulary = info.need_vocabulary()
        self.frame_size = info.need_frame_size()
        self.frames, self.layout_beta, self.weights = frames, layout.beta, weights
        self.adversarial = None if discriminator is None else discriminator.loss
        self._generator = build_generator(
            vocabulary,
            layout,
            frames,
            width=width,
            hidden=graph_hidden,
            residual=frames is not None and draws(discriminator is not None, frames.perceptual, weights.pixel),
            still_start=still_start,
        )
        self.discriminator: ActionDiscriminator | None = None
        if discriminator is not None:
            words = vocabulary.sizes, len(vocabulary.actions)
            self.discriminator = ActionDiscriminator(*words, discriminator, width=width, hidden=graph_hidden)
        if frames is not None and frames.channels_last:
            for network in (cast(Generator, self._generator).frames, self.discriminator):
                if network is not None:
                    network.to(memory_format=torch.channels_last)
        self.steps_in_backward = steps_in_backward
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

    def adapt(self, checkpoint: dict[str, Any]) -> None:
        if isinstance(self._generator, Generator) and not self._generator.frames.residual:
            without_undrawn(checkpoint, self._generator, self.optimizer_names.index("generator"))

    def setup(self, stage: str) -> None:
        """Load the network behind the perceptual loss.

        Raises:
            MissingWeightsError: if its weights are neither at the given path nor in torchvision's cache.
        """
        if stage != "fit" or self.frames is None:
            return
        if (perceptual := self.frames.perceptual) in ("vgg19", "squeezenet"):
            self.features = load_perceptual(perceptual, self.frames.perceptual_weights, *WITHOUT_FILE)

    # --- training ----------------------------------------------------------------------------------------------------

    def training_step(self, batch: ActionGraphPair, batch_idx: int) -> None:
        if self.frames is not None:
            self._train_frames(batch.frames)
        if "layout" in self.optimizer_names:
            clips = self._clips(batch.layout)
            self.latest["loss/layouts"] = self.update("layout", [partial(self._layout_loss, part) for part in clips])

    def finish_iteration(self, batch: ActionGraphPair) -> None:
        super().finish_iteration(batch if self.draws else batch.layout)

    def _train_frames(self, batch: ActionGraphBatch) -> None:
        parts = [self._part(clips) for clips in self._clips(batch)]
        losses = [partial(self._generator_loss, part) for part in parts]
        self.latest["loss/generator"] = self.update("generator", losses)
        if self.discriminator is not None:
            losses = [partial(self._discriminator_loss, part) for part in parts]
            self.latest["loss/discriminator"] = self.update("discriminator", losses)

    def _part(self, clips: ActionGraphBatch) -> _Part:
        assert self.frames is not None
        if clips.frames is None:
            raise ValueError("AG2Vid learns from frames, but this batch has none.")
        at_once = 1 if self.frames.per_frame or self.frames.previous == "generated" else clips.length - 1
        cast(Generator, self._generator).frames.check_statistics(len(clips) * at_once, self.frame_size)
        real = normalised(clips.frames, self.info.need_normaliser())
        # the generator's step moves nothing this depends on, so both steps share it
        judge = self.discriminator
        conditioning = None if judge is None else judge.condition(clips.graph, clips.boxes, self.frame_size)
        return _Part(clips, real, conditioning)

    def _generator_loss(self, part: _Part) -> Tensor:
        assert isinstance(self._generator, Generator)
        assert self.frames is not None
        how, clips, target = self.frames, part.clips, part.real[:, 1:]
        own = how.previous == "generated"
        made = self._generator.teach(
            clips.graph, clips.boxes, part.real, per_frame=how.per_frame, own=own, detach_every=how.truncate
        )
        part.fake = made.frames.detach()
        moved = made.warped
        if own:
            moved = warp(part.real[:, :-1].flatten(0, 1), made.flow.flatten(0, 1), how.align_corners)
            moved = moved.unflatten(0, target.shape[:2])
        adversarial = matching = perceptual = None
        if self.discriminator is not None and self.adversarial is not None and part.conditioning is not None:
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
        assert self.adversarial is not None
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
                loss = layout_loss(found.boxes, clips.boxes, clips.graph.real, beta=self.layout_beta)
                losses.append(self.weights.layout * loss)
                self.latest[f"loss/layout_{name}"] = losses[-1].detach()
        return torch.stack(losses).sum()

    def _clips(self, batch: ActionGraphBatch) -> list[ActionGraphBatch]:
        """The mini-batch in ``micro_batches`` equal parts."""
        if self.micro_batches == 1:
            return [batch]
        (numbers,) = zip(*self.parts(torch.arange(len(batch))), strict=True)
        return [batch.select(part.tolist()) for part in numbers]

    # --- layouts ------------------------------------------------------------------------------------------------------

    @property
    def layouts(self) -> list[LayoutName]:
        """Ways in which :meth:`lay_out` makes layouts: the model's own first, then its rivals and the baselines."""
        return list(dict.fromkeys([*self._generator.names, *UNLEARNED]))

    def lay_out(self, batch: ActionGraphBatch, layout: LayoutName | None = None, *, seed: int = 0) -> Tensor:
        """Boxes ``[n, t, 4]`` for the graphs and first boxes of a batch, on the model's device.

        Args:
            batch: what is asked for; all its boxes are read by ``ground_truth`` alone.
            layout: instead of the model's own.
            seed: of random layouts.
        """
        with self.sampling() as network, seeded(seed, self.device):
            given, generator = batch.to(self.device), cast(LayoutGenerator, network)
            return generator.lay_out(given.graph, given.boxes[:, 0], given.length, given.boxes, layout).boxes

    # --- generation --------------------------------------------------------------------------------------------------

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
            batch_size: clips at a time. Torch rounds the convolutions of several images and of one differently, which
                may come out as a grey level here and there.

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
        normaliser = self.info.need_normaliser()
        with self.sampling() as network, seeded(seed, self.device):
            generator = cast(LayoutGenerator, network)
            frames, boxes = make_videos(generator, asked, steps, normaliser, layout, batch_size, self.device)
        asked = asked.to(self.device)
        info = self.info if length is None else self.info.with_length(length)
        real = batch.frames.to(self.device) if batch.frames.shape[1] == steps else None
        return ActionGraphSample(fake=frames, info=info, real=real, asked=asked, boxes=boxes, drawn=self.draws)
