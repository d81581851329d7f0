"""Kinetic-GAN's training, told once (paper section 3; WGAN-GP as released)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from mutoscope.models.generative import GenerativeModule, GenerativeSettings
from mutoscope.models.kinetic_gan.discriminator import Discriminator
from mutoscope.models.kinetic_gan.generator import Generator, Upsampling
from mutoscope.models.kinetic_gan.losses import critic_loss, generator_loss
from mutoscope.models.kinetic_gan.reference import read_original
from mutoscope.models.originals import Original, OriginalData
from mutoscope.models.seeding import seeded
from mutoscope.nn.motion_features import MotionFeatures, Stream
from mutoscope.structures import DatasetInfo, Kind, MotionBatch, MotionSample


class KineticGAN(GenerativeModule[MotionBatch | Tensor, MotionSample]):
    """Degardin et al., "Generative Adversarial Graph Convolutional Networks for Human Action Synthesis", WACV 2022.

    Every iteration moves the critic; every ``n_critic``-th, beginning with the first, also moves the generator, with
    the same latents and labels and fresh noise.

    Args:
        info: classes, skeleton, coordinates, clip length and normaliser of the data.
        latent: size of z.
        mapping_depth: layers of the mapping network; 0 feeds [embedding, z] to the first block (Table 1, A-D).
        widths: channels of blocks 0..4 of the generator, coarsest level first.
        last_width: channels between the generator's last two blocks; the paper's are the coordinates.
        critic_widths: the critic's ladder in the same order; the generator's unless given.
        critic_streams: what the critic sees of a motion; the paper's sees ``joints`` alone, ``bones`` and
            ``velocities`` beside them teach rigid limbs and steady movement sooner.
        norm_blocks: generator blocks with batch norm on the temporal convolution.
        use_skip: generator blocks have skip branches (off: Table 1, B).
        use_noise: generator blocks add noise (off: Table 1, A-C).
        upsampling: how the generator makes more frames of few: the paper repeats them (``nearest``), which leaves steps
            of 2, 4 and 8 frames in the motion that look like trembling; ``linear`` interpolates between them.
        n_critic: critic updates for one generator update.
        restart_every: count ``n_critic`` anew after so many iterations, as released after every epoch; ``None``: count
            over the whole run.
        penalty_weight: of the gradient penalty.
        penalty_every: the penalty is computed at every so many-th iteration, and counts as many times as much (lazy
            regularisation, Karras et al. 2020); the paper's at every one.
        optimizers: factories named ``critic`` and ``generator``.
        schedulers, ema_half_life, micro_batches, clip_norm, compile_networks, seed: see :class:`GenerativeModule`.
    """

    takes: ClassVar[Kind] = "motion"

    @classmethod
    def from_original(cls, path: Path, data: OriginalData) -> Original:
        return read_original(path, data)

    def __init__(
        self,
        info: DatasetInfo,
        *,
        latent: int = 512,
        mapping_depth: int = 4,
        widths: Sequence[int] = (512, 256, 128, 64, 32),
        last_width: int | None = None,
        critic_widths: Sequence[int] | None = None,
        critic_streams: Sequence[Stream] = ("joints",),
        norm_blocks: Sequence[int] = (1, 3, 5),
        use_skip: bool = True,
        use_noise: bool = True,
        upsampling: Upsampling = "nearest",
        n_critic: int = 5,
        restart_every: int | None = None,
        penalty_weight: float = 10.0,
        penalty_every: int = 1,
        **training: Unpack[GenerativeSettings],
    ) -> None:
        super().__init__(info, **training)
        if n_critic < 1:
            raise ValueError(f"n_critic is {n_critic}, expected at least 1.")
        if penalty_every < 1:
            raise ValueError(f"penalty_every is {penalty_every}, expected at least 1.")
        if restart_every is not None and restart_every < 1:
            raise ValueError(f"restart_every is {restart_every}, expected at least 1, or nothing.")
        self.latent, self.n_critic, self.restart_every = latent, n_critic, restart_every
        self.penalty_weight, self.penalty_every = penalty_weight, penalty_every
        skeleton = info.need_skeleton()
        self._generator = Generator(
            skeleton=skeleton,
            channels=info.channels,
            classes=info.num_classes,
            length=info.length,
            latent=latent,
            mapping_depth=mapping_depth,
            widths=tuple(widths),
            last_width=last_width,
            norm_blocks=tuple(norm_blocks),
            use_skip=use_skip,
            use_noise=use_noise,
            upsampling=upsampling,
        )
        self.features = MotionFeatures.of(info, critic_streams)
        self.critic = Discriminator(
            skeleton=skeleton,
            channels=info.channels * len(critic_streams),
            classes=info.num_classes,
            latent=latent,
            widths=tuple(critic_widths or widths),
        )
        self.ready()

    @property
    def generator(self) -> nn.Module:
        return self._generator

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        return {"critic": [self.critic], "generator": [self._generator]}

    def judge(self, joints: Tensor, label: Tensor) -> Tensor:
        """The critic's score ``[b, 1]`` of motions ``[b, t, v, c]`` in network units."""
        return self.critic(self.features(joints), label)

    def judge_eagerly(self, joints: Tensor, label: Tensor) -> Tensor:
        """The same past ``torch.compile``, whose graphs cannot be differentiated twice."""
        return self.critic.forward(self.features(joints), label)

    def training_step(self, batch: MotionBatch, batch_idx: int) -> None:
        real_clips = self.info.need_normaliser().normalise(batch.joints)
        parts = self.parts(real_clips, batch.label, torch.randn(len(batch), self.latent, device=self.device))

        penalised = self.iterations % self.penalty_every == 0
        penalty_weight = self.penalty_every * self.penalty_weight if penalised else 0.0

        def critic_part(real: Tensor, label: Tensor, z: Tensor) -> Tensor:
            with torch.no_grad():
                fake = self._generator(z, label)
            loss = critic_loss(
                self.judge,
                real,
                fake,
                label,
                penalty_weight=penalty_weight,
                penalty_critic=self.judge_eagerly,
            )
            if penalised:
                self.latest["loss/penalty"] = loss.penalty
            self.latest |= {
                "health/critic_gap": loss.real - loss.fake,
                "health/fake_spread": _spread(fake),
                "health/real_spread": _spread(real),
            }
            return loss.total

        def generator_part(real: Tensor, label: Tensor, z: Tensor) -> Tensor:
            return generator_loss(self.judge, self._generator(z, label), label)

        self.latest["loss/critic"] = self.update("critic", [partial(critic_part, *part) for part in parts])

        position = self.iterations if self.restart_every is None else self.iterations % self.restart_every
        if position % self.n_critic == 0:
            self.latest["loss/generator"] = self.update("generator", [partial(generator_part, *part) for part in parts])

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
            batch: real clips whose classes are taken, or class labels ``[b]``.
            seed: of latents and noise.
            length: frames; the training length by default.
            truncation: psi of the truncation trick in w; ``None`` is off.
            batch_size: sequences at a time.

        Returns:
            ``fake: [b, t, v, c]`` in dataset units.
        """
        label = (batch if isinstance(batch, Tensor) else batch.label).to(self.device)
        with self.sampling() as generator, seeded(seed, self.device):
            z = torch.randn(len(label), self.latent, device=self.device)
            parts = zip(z.split(batch_size), label.split(batch_size), strict=True)
            fake = torch.cat([generator(*part, length=length, truncation=truncation) for part in parts])
            fake = self.info.need_normaliser().denormalise(fake.float())
        real = batch.joints if isinstance(batch, MotionBatch) else None
        info = self.info if length is None else self.info.with_length(length)
        return MotionSample(fake=fake, label=label, info=info, real=real)


def _spread(clips: Tensor) -> Tensor:
    """Mean standard deviation over a mini-batch ``[b, ...]``; of few clips, many times faster than ``std``."""
    clips = clips.float()
    return (clips.square().mean(0) - clips.mean(0).square()).clamp(min=0).sqrt().mean()
