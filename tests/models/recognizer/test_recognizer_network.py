import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mutoscope.config.choices import load_choice
from mutoscope.metrics import MotionFID, RecognitionAccuracy
from mutoscope.models.recognizer import RecognizerNet
from mutoscope.models.recognizer.network import GraphTemporalBlock
from mutoscope.structures import CMU31, NTU25, Normaliser, partition_adjacency


def waving(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Four classes: hand or knee goes up and down, once or three times per clip; pose, phase and noise vary."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 4, (n,), generator=g)
    pose = torch.randn(25, 3, generator=torch.Generator().manual_seed(9)) * 0.3
    joints = pose + torch.randn(n, 1, 25, 3, generator=g) * 0.05 + torch.randn(n, 32, 25, 3, generator=g) * 0.02
    times = (1 + (label % 2) * 2)[:, None] * torch.arange(32) / 32
    wave = torch.sin(2 * torch.pi * (times + torch.rand(n, 1, generator=g))) * 0.2
    joints[torch.arange(n), :, torch.where(label < 2, 6, 15), 1] += wave
    return joints, label


def test_learns_four_classes() -> None:
    torch.manual_seed(0)
    joints, label = waving(512, 0)
    unseen, truth = waving(400, 1)
    net = RecognizerNet(NTU25, 3, 4, width=16)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=120)
    for _ in range(120):
        batch = torch.randint(0, 512, (64,))
        optimiser.zero_grad()
        F.cross_entropy(net(joints[batch]), label[batch]).backward()
        optimiser.step()
        schedule.step()
    accuracy = RecognitionAccuracy(net)
    accuracy.update(unseen, truth, real=False)
    assert float(accuracy.compute()) > 0.95

    fid = MotionFID(net)
    fid.update(joints, label, real=True)
    fid.update(unseen, truth, real=False)
    near = float(fid.compute())
    fid.reset()
    fid.update(joints, label, real=True)
    fid.update(unseen[:, :1].expand_as(unseen), truth, real=False)
    assert float(fid.compute()) > 10 * near


def test_evaluation_is_deterministic_and_batch_independent() -> None:
    net = RecognizerNet(NTU25, 3, 5).eval()
    joints = torch.randn(7, 20, 25, 3)
    whole = net.features(joints)
    assert whole.shape == (7, net.num_features) == (7, 64)
    torch.testing.assert_close(torch.cat([net.features(clip[None]) for clip in joints]), whole, rtol=1e-5, atol=1e-6)
    assert torch.equal(net.features(joints), whole)
    assert net(joints).shape == (7, 5)


@pytest.mark.parametrize("frames", [1, 2, 3, 17, 64])
def test_takes_any_length_and_two_dimensions(frames: int) -> None:
    net = RecognizerNet(CMU31, 2, 12, width=8, blocks=((1, 1), (3, 2)))
    assert net.num_features == 24
    logits = net(torch.randn(4, frames, 31, 2))
    assert logits.shape == (4, 12)
    assert torch.isfinite(logits).all()


def test_every_parameter_learns() -> None:
    net = RecognizerNet(NTU25, 3, 4)
    net(torch.randn(8, 16, 25, 3)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_state_dict_carries_the_scale() -> None:
    joints = torch.randn(3, 16, 25, 3) * 2 + 5
    trained = RecognizerNet(NTU25, 3, 4, normaliser=Normaliser((5.0, 4.0, 3.0), (2.0, 1.0, 0.5))).eval()
    bare = RecognizerNet(NTU25, 3, 4).eval()
    bare.load_state_dict(trained.state_dict())
    assert torch.equal(bare(joints), trained(joints))
    scaled = RecognizerNet(NTU25, 3, 4).eval()
    scaled.load_state_dict(trained.state_dict() | {"offset": torch.zeros(3), "scale": torch.ones(3)})
    normalised = Normaliser((5.0, 4.0, 3.0), (2.0, 1.0, 0.5)).normalise(joints)
    torch.testing.assert_close(scaled(normalised), trained(joints), rtol=1e-4, atol=1e-5)


def test_relative_joints_ignore_where_the_person_stands() -> None:
    """Moving a clip changes the place of the root alone, so only the root's own channels may react."""
    net = RecognizerNet(NTU25, 3, 4).eval()
    seen: list[Tensor] = []
    net.input_norm.register_forward_pre_hook(lambda _, args: seen.append(args[0].view(-1, 25, 6)))
    joints = torch.randn(2, 9, 25, 3)
    net(joints)
    net(joints + torch.tensor([1.0, 2.0, 3.0]))
    moved = (seen[1] - seen[0]).abs().amax(dim=(0, 2)) > 1e-4
    assert moved.nonzero().flatten().tolist() == [NTU25.root]


@pytest.mark.parametrize(("stride", "frames"), [(1, 9), (2, 9), (2, 8), (3, 7)])
def test_block_equals_convolutions(stride: int, frames: int) -> None:
    adjacency = partition_adjacency(25, NTU25.edges, NTU25.centre)
    block = GraphTemporalBlock(adjacency, 6, 10, stride).double().eval()
    torch.nn.init.uniform_(block.importance, 0.5, 1.5)
    x = torch.randn(2, frames, 25, 6, dtype=torch.float64)
    series = x.permute(0, 2, 3, 1).flatten(0, 1)
    kernel = block.taps.T[:, None]
    y = F.conv1d(series, kernel, stride=stride, padding=1, groups=6).unflatten(0, (2, 25)).permute(0, 3, 1, 2)
    mixed = sum(
        torch.einsum("vw,btvc,oc->btwo", (block.adjacency * block.importance)[k], y, weight)
        for k, weight in enumerate(block.mix.weight.chunk(3, dim=1))
    )
    normed = F.batch_norm(mixed.flatten(0, 2), block.norm.running_mean, block.norm.running_var).view_as(mixed)
    expected = F.relu(normed + block.skip(x[:, ::stride]))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


def test_wrong_input_is_refused() -> None:
    net = RecognizerNet(NTU25, 3, 4)
    with pytest.raises(ValueError, match=r"expected \[b, t, 25, 3\]"):
        net(torch.randn(2, 8, 25, 2))
    with pytest.raises(ValueError, match="t >= 1"):
        net(torch.randn(2, 0, 25, 3))
    with pytest.raises(ValueError, match="all must be at least 1"):
        RecognizerNet(NTU25, 3, 0)
    with pytest.raises(ValueError, match="2 coordinates, expected 3"):
        RecognizerNet(NTU25, 3, 4, normaliser=Normaliser((0.0, 0.0), (1.0, 1.0)))


def test_what_it_looks_at_can_be_chosen() -> None:
    """A pose added to all frames is seen by positions alone; velocities take all that stands still for the same."""
    joints, _ = waving(6, 2)
    pose = 0.3 * torch.randn(6, 1, 25, 3, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    nets = {inputs: RecognizerNet(NTU25, 3, 4, inputs=inputs).eval() for inputs in ("both", "positions", "velocities")}  # type: ignore[arg-type]
    with torch.no_grad():
        moved = {name: net.features(joints + pose) - net.features(joints) for name, net in nets.items()}
        still = nets["velocities"].features(joints[:, :1].expand(-1, 32, -1, -1))
        # a velocity that stays is a position that goes: only where both are looked at is the first frame alike
        assert nets["positions"].features(joints[:, :1]).shape == (6, 64)
    assert moved["velocities"].abs().max() < 1e-4 < moved["positions"].abs().max()
    assert moved["both"].abs().max() > 1e-4
    torch.testing.assert_close(still, still[:1].expand_as(still))
    with pytest.raises(ValueError, match="inputs is 'speed', expected one of both, positions, velocities"):
        RecognizerNet(NTU25, 3, 4, inputs="speed")  # type: ignore[arg-type]


def test_recognisers_that_were_trained_before_there_was_a_choice_are_found_and_loaded() -> None:
    """They are kept under their settings, of which none may be added; their weights are those of both."""
    assert set(load_choice("recognizer", "st_gcn")["model"]) == {
        "_target_", "width", "dropout", "jitter", "micro_batches", "clip_norm", "compile_networks", "seed",
        "optimizers", "schedulers",
    }  # fmt: skip
    state = RecognizerNet(NTU25, 3, 4).state_dict()
    assert state["input_norm.weight"].shape == (25 * 2 * 3,)
    assert state["blocks.0.taps"].shape == (3, 4 * 3)


def test_through_velocities_clips_that_stand_still_are_farther_from_real_ones_than_those_that_move() -> None:
    torch.manual_seed(0)
    (joints, label), (unseen, _), (model, _) = waving(512, 0), waving(300, 1), waving(300, 4)
    net = RecognizerNet(NTU25, 3, 4, inputs="velocities", width=16)
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    for _ in range(60):
        batch = torch.randint(0, 512, (64,))
        optimiser.zero_grad()
        F.cross_entropy(net(joints[batch]), label[batch]).backward()
        optimiser.step()
    metric = MotionFID(net)
    assert metric.caveat == ""
    assert "stand still" in MotionFID(RecognizerNet(NTU25, 3, 4)).caveat

    def distance(fake: Tensor) -> float:
        metric.reset()
        metric.update(joints, label, real=True)
        metric.update(fake, torch.zeros(len(fake), dtype=torch.long), real=False)
        return float(metric.compute())

    # a model that moves half as far, in poses that are nobody's
    middling = 0.5 * (model - model.mean(dim=1, keepdim=True)) + 0.2 * torch.randn(300, 1, 25, 3)
    frozen = distance(unseen[:, :1].expand(-1, 32, -1, -1).contiguous())
    assert distance(unseen) < 0.2 * distance(middling) < 0.5 * frozen
