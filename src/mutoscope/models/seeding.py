"""Randomness: one seed for each iteration and process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def step_seed(seed: int, iteration: int, rank: int) -> int:
    """Seed of one iteration on one rank; distinct for all of them."""
    mixed = (seed * 0x9E3779B97F4A7C15 + iteration * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**64
    mixed ^= mixed >> 31
    return mixed % 2**63


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Everything random inside depends on ``seed`` alone; the streams outside continue undisturbed."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
