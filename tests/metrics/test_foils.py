"""Foils: what is kept of real clips, what is lost, and that seeds decide."""

import pytest
import torch
from torch import Tensor

from mutoscope.metrics import TooFewSamplesError
from mutoscope.metrics.foils import frozen_first_frames, frozen_random_poses, matching, shuffled_labels


def clips(count: int, seed: int = 0, frames: int = 6) -> Tensor:
    return torch.randn(count, frames, 3, 2, generator=torch.Generator().manual_seed(seed))


def test_a_matching_draw_has_the_classes_asked_for_and_no_clip_twice() -> None:
    pool = torch.tensor([2, 0, 1, 1, 0, 2, 2, 0, 1, 0])
    wanted = torch.tensor([0, 2, 0, 1, 2, 0])
    index = matching(pool, wanted, seed=3)
    assert torch.equal(pool[index], wanted)
    assert len(index.unique()) == len(wanted)
    assert torch.equal(index, matching(pool, wanted, seed=3))
    draws = {tuple(matching(pool, wanted, seed=s).tolist()) for s in range(20)}
    assert len(draws) > 10
    # over many seeds every clip of class 0 takes its turn
    assert {i for draw in draws for i in draw if pool[i] == 0} == {1, 4, 7, 9}
    assert matching(pool, torch.tensor([], dtype=torch.long)).tolist() == []
    with pytest.raises(TooFewSamplesError, match="class 1 has 3 clips, 4 are wanted"):
        matching(pool, torch.tensor([0, 1, 1, 1, 1]))
    with pytest.raises(TooFewSamplesError, match="class 5 has 0 clips"):
        matching(pool, torch.tensor([5]))


def test_shuffled_labels_are_the_same_labels_elsewhere() -> None:
    label = torch.arange(5).repeat(40)
    shuffled = shuffled_labels(label, seed=1)
    assert torch.equal(torch.bincount(shuffled), torch.bincount(label))
    # by chance a fifth stays
    assert 0.1 < float((shuffled == label).float().mean()) < 0.3
    assert torch.equal(shuffled, shuffled_labels(label, seed=1))
    assert not torch.equal(shuffled, shuffled_labels(label, seed=2))


def test_frozen_clips_stand_as_they_begin() -> None:
    joints = clips(4)
    frozen = frozen_first_frames(joints)
    assert frozen.shape == joints.shape
    assert torch.equal(frozen, joints[:, :1].repeat(1, 6, 1, 1))
    assert torch.equal(joints, clips(4))


def test_random_poses_have_the_mean_and_covariance_of_their_classes_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(2, 6, 6, generator=generator)
    label = torch.arange(400) % 2
    frames = torch.randn(400, 5, 6, generator=generator)
    joints = (torch.einsum("btd,bde->bte", frames, mix[label]) + 10.0 * label[:, None, None]).view(400, 5, 3, 2)
    wanted = torch.tensor([1]).repeat(4000)
    poses = frozen_random_poses(joints, label, torch.ones(400, 5, dtype=torch.bool), wanted, seed=1)
    assert poses.shape == (4000, 5, 3, 2)
    assert poses.dtype == joints.dtype
    assert torch.equal(poses, poses[:, :1].expand_as(poses))
    mine = joints[label == 1].flatten(0, 1).flatten(1)
    drawn = poses[:, 0].flatten(1)
    covariance = mine.T.cov()
    spread = covariance.diagonal().sqrt()
    assert float(((drawn.mean(0) - mine.mean(0)) / spread).abs().max()) < 0.08
    error = (drawn.T.cov() - covariance) / (spread[:, None] * spread)
    assert float(error.abs().max()) < 0.1
    again = frozen_random_poses(joints, label, torch.ones(400, 5, dtype=torch.bool), wanted, seed=1)
    assert torch.equal(again, poses)
    other = frozen_random_poses(joints, label, torch.ones(400, 5, dtype=torch.bool), wanted, seed=2)
    assert not torch.equal(other, poses)


def test_what_never_varies_stays_put_and_masked_frames_do_not_count() -> None:
    joints, label = clips(30), torch.zeros(30, dtype=torch.long)
    joints[:, :, 0] = torch.tensor([1.5, -2.0])
    mask = torch.ones(30, 6, dtype=torch.bool)
    mask[:, 4:] = False
    whole = joints.clone()
    joints[:, 4:] = 1000.0
    poses = frozen_random_poses(joints, label, mask, label[:9], seed=0)
    torch.testing.assert_close(poses[:, :, 0], torch.tensor([1.5, -2.0]).expand(9, 6, 2), rtol=0, atol=1e-6)
    short = mask[:, :4]
    torch.testing.assert_close(poses[:, :4], frozen_random_poses(whole[:, :4], label, short, label[:9], seed=0))
    with pytest.raises(TooFewSamplesError, match="class 1 has 0 frames"):
        frozen_random_poses(joints, label, mask, torch.tensor([0, 1]))
