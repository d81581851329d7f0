"""Kinetic-GAN: motions of whole bodies from action classes (Degardin et al., WACV 2022)."""

from mutoscope.models.kinetic_gan.discriminator import Discriminator
from mutoscope.models.kinetic_gan.generator import Generator
from mutoscope.models.kinetic_gan.losses import CriticLoss, critic_loss, generator_loss, gradient_penalty

__all__ = ["CriticLoss", "Discriminator", "Generator", "critic_loss", "generator_loss", "gradient_penalty"]
