"""SA-GCN's training, told once (paper sections 3.1 and 4.2; losses as released)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Unpack, cast

import torch
from torch import Tensor, nn

from mutoscope.models.generative import GenerativeModule, GenerativeSettings
from mutoscope.models.originals import Original, OriginalData
from mutoscope.models.sa_gcn.discriminators import (
    ClipCritic,
    ClipCriticSettings,
    FrameCritic,
    FrameCriticSettings,
    Judgement,
    pick_frames,
)
from mutoscope.models.sa_gcn.generator import Generator, GeneratorSettings, GraphSettings, class_weights
from mutoscope.models.sa_gcn.losses import REAL_TARGET, Critic, critic_loss, generator_loss, gradient_penalty
from mutoscope.models.sa_gcn.reference import read_original
from mutoscope.models.seeding import seeded
from mutoscope.nn.motion_features import MotionFeatures
from mutoscope.structures import DatasetInfo, Kind, MotionBatch, MotionSample


class SAGCN(GenerativeModule[MotionBatch | Tensor, MotionSample]):
    """Yu et al., "Structure-Aware Human-Action Generation", ECCV 2020.

    Every iteration makes one batch of fakes and moves the clip critic, the frame critic and then, against both as they
    now are, the generator.

    Args:
        info: classes, skeleton, coordinates, clip length and normaliser of the data.
        graph: how the generator's stack of graph layers is made.
        generator, clip_critic, frame_critic: sizes of the networks.
        real_target: what critics shall say of real clips, and of fakes in the generator's step (one-sided smoothing).
        class_weight: of the auxiliary class loss on the clip critic's second head, on logits; 0 leaves the head out.
        penalty_weight: of a zero-centred gradient penalty on both critics, at real clips and at fakes (Mescheder et al.
            2018); not in the paper, 0 leaves it out.
        optimizers: factories named ``clip_critic``, ``frame_critic`` and ``generator``.
        schedulers, ema_half_life, micro_batches, clip_norm, compile_networks, seed: see :class:`GenerativeModule`.
    """

    takes: ClassVar[Kind] = "motion"
    takes_mixtures: ClassVar[bool] = True
    groups: ClassVar[Mapping[str, str]] = {"metrics": "sa_gcn"}

    @classmethod
    def from_original(cls, path: Path, data: OriginalData) -> Original:
        return read_original(path, data)

    def __init__(
        self,
        info: DatasetInfo,
        *,
        graph: GraphSettings = GraphSettings(),
        generator: GeneratorSettings = GeneratorSettings(),
        clip_critic: ClipCriticSettings = ClipCriticSettings(),
        frame_critic: FrameCriticSettings = FrameCriticSettings(),
        real_target: float = REAL_TARGET,
        class_weight: float = 0.0,
        penalty_weight: float = 0.0,
        **training: Unpack[GenerativeSettings],
    ) -> None:
        super().__init__(info, **training)
        self.frames, self.frames_in_order = frame_critic.frames, frame_critic.in_order
        self.real_target, self.class_weight, self.penalty_weight = real_target, class_weight, penalty_weight
        skeleton = info.need_skeleton()
        self._generator = Generator(
            skeleton,
            info.channels,
            info.num_classes,
            length=info.length,
            options=graph.options(),
            **vars(generator),
        )
        self.features = MotionFeatures.of(info, clip_critic.streams)
        self.clip_critic = ClipCritic(
            skeleton.num_joints,
            info.channels * len(clip_critic.streams),
            info.num_classes,
            length=info.length,
            widths=clip_critic.widths,
            classifier=class_weight > 0,
        )
        self.frame_critic = FrameCritic(
            skeleton.num_joints,
            info.channels,
            info.num_classes,
            frames=frame_critic.frames,
            widths=frame_critic.widths,
        )
        self.ready()

    @property
    def generator(self) -> Generator:
        return self._generator

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        return {
            "clip_critic": [self.clip_critic],
            "frame_critic": [self.frame_critic],
            "generator": [self._generator],
        }

    def judge_clips(self, clips: Tensor, label: Tensor) -> Judgement:
        """What the clip critic says of clips ``[b, t, v, c]`` in network units."""
        judgement: Judgement = self.clip_critic(self.features(clips), label)
        return judgement

    def judge_clips_eagerly(self, clips: Tensor, label: Tensor) -> Judgement:
        """The same past ``torch.compile``, whose graphs cannot be differentiated twice."""
        return self.clip_critic.forward(self.features(clips), label)

    def training_step(self, batch: MotionBatch, batch_idx: int) -> None:
        clips = self.info.need_normaliser().normalise(batch.joints)
        noise, start = self._draw(len(batch), clips.shape[1])
        picks = [pick_frames(clips.shape[1], self.frames, self.device, in_order=self.frames_in_order) for _ in range(2)]
        self.step(clips, batch.label, noise, start, real_picks=picks[0], fake_picks=picks[1])

    def step(
        self,
        clips: Tensor,
        label: Tensor,
        noise: Tensor,
        start: Tensor,
        *,
        real_picks: Tensor,
        fake_picks: Tensor,
    ) -> None:
        """One iteration with everything random given.

        Args:
            clips: ``[b, t, v, c]`` real ones in network units.
            label: ``[b]`` class index, or ``[b, classes]`` weights.
            noise, start: see :class:`Generator`.
            real_picks, fake_picks: ``[frames]`` frames that the frame critic sees of all real and of all fake clips.
        """
        parts = self.parts(clips, label, noise, start)
        # fakes that teach the critics teach the generator too, unless memory holds the graph of one part only
        held = self._generator(noise, label, start) if len(parts) == 1 else None

        def fake(number: int, *, learn: bool) -> Tensor:
            if held is not None:
                return held if learn else held.detach()
            _, y, z, u = parts[number]
            with torch.set_grad_enabled(learn):
                return self._generator(z, y, u)

        def clip_part(number: int) -> Tensor:
            real, y, made = parts[number][0], parts[number][1], fake(number, learn=False)
            self.latest |= {
                "health/fake_spread": made.float().std(dim=0, correction=0).mean(),
                "health/real_spread": real.std(dim=0, correction=0).mean(),
            }
            loss = self._critic_loss(self.judge_clips, real, made, y, "critic_gap", class_weight=self.class_weight)
            return loss + self._penalty("clip", self.judge_clips_eagerly, real, made, y)

        def frame_part(number: int) -> Tensor:
            real, y, made = parts[number][0], parts[number][1], fake(number, learn=False)
            real, made = real[:, real_picks], made[:, fake_picks]
            loss = self._critic_loss(self.frame_critic, real, made, y, "frame_critic_gap")
            return loss + self._penalty("frame", self.frame_critic.forward, real, made, y)

        def generator_part(number: int) -> Tensor:
            y, made = parts[number][1], fake(number, learn=True)
            clip, frame = self.judge_clips(made, y), self.frame_critic(made[:, fake_picks], y)
            return generator_loss(clip, frame, y, real_target=self.real_target, class_weight=self.class_weight)

        for name, part in (("clip_critic", clip_part), ("frame_critic", frame_part), ("generator", generator_part)):
            self.latest[f"loss/{name}"] = self.update(name, [partial(part, number) for number in range(len(parts))])

    def _critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, label: Tensor, gap_name: str, *, class_weight: float = 0.0
    ) -> Tensor:
        """Real and fake clips pass the critic in one batch; how far apart it scores them is logged as ``gap_name``."""
        score, classes = critic(torch.cat([real, fake.to(real.dtype)]), torch.cat([label, label]))
        b = len(real)
        judged_real = Judgement(score[:b], None if classes is None else classes[:b])
        judged_fake = Judgement(score[b:], None if classes is None else classes[b:])
        gap = score.detach().float()
        self.latest[f"health/{gap_name}"] = gap[:b].mean() - gap[b:].mean()
        return critic_loss(judged_real, judged_fake, label, real_target=self.real_target, class_weight=class_weight)

    def _penalty(self, name: str, critic: Critic, real: Tensor, fake: Tensor, label: Tensor) -> Tensor | float:
        """Half the weighted penalty, as its authors have it."""
        if not self.penalty_weight:
            return 0.0
        penalty = gradient_penalty(critic, real, fake, label)
        self.latest[f"loss/{name}_penalty"] = penalty.detach()
        return self.penalty_weight / 2 * penalty

    def _draw(self, count: int, length: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, length, self._generator.noise, device=self.device)
        make = torch.rand if self._generator.options.random_start else torch.zeros
        return noise, make(count, self._generator.hidden, device=self.device)

    def generate(
        self,
        batch: MotionBatch | Tensor,
        *,
        seed: int = 0,
        length: int | None = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> MotionSample:
        """Sequences for given classes.

        Args:
            batch: real clips whose classes are taken, class labels ``[b]``, or mixtures ``[b, classes]`` (equation 8).
            seed: of the noise.
            length: frames; the training length by default, and the only one where nodes are mixed by weights.
            truncation: factor on the noise; below 1 motions are less varied, ``None`` is 1.
            batch_size: sequences at a time.

        Returns:
            ``fake: [b, t, v, c]`` in dataset units; ``label`` names the heaviest class of a mixture.
        """
        noise, weights, start = self._inputs(batch, seed=seed, length=length, truncation=truncation)
        with self.sampling() as generator:
            parts = zip(noise.split(batch_size), weights.split(batch_size), start.split(batch_size), strict=True)
            fake = torch.cat([generator(*part) for part in parts])
            fake = self.info.need_normaliser().denormalise(fake.float())
        real = batch.joints if isinstance(batch, MotionBatch) else None
        info = self.info if length is None else self.info.with_length(length)
        return MotionSample(fake=fake, label=weights.argmax(dim=1), info=info, real=real)

    def attention(
        self,
        batch: MotionBatch | Tensor,
        *,
        seed: int = 0,
        length: int | None = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> Tensor:
        """What frames attend to in the sequences that :meth:`generate` makes of the same arguments (figure 4).

        Returns:
            ``[b, t, t]``, see :meth:`Generator.attention`.

        Raises:
            ValueError: no graph layer uses attention.
        """
        noise, weights, start = self._inputs(batch, seed=seed, length=length, truncation=truncation)
        with self.sampling() as network:
            generator = cast(Generator, network)
            parts = zip(noise.split(batch_size), weights.split(batch_size), start.split(batch_size), strict=True)
            return torch.cat([generator.attention(*part) for part in parts])

    def _inputs(
        self, batch: MotionBatch | Tensor, *, seed: int, length: int | None, truncation: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, class weights and start of what is asked for; the same for the same arguments."""
        wanted = (batch if isinstance(batch, Tensor) else batch.label).to(self.device)
        weights = class_weights(wanted, self.info.num_classes)
        with torch.inference_mode(), seeded(seed, self.device):
            noise, start = self._draw(len(wanted), self.info.length if length is None else length)
        return noise if truncation is None else noise * truncation, weights, start
