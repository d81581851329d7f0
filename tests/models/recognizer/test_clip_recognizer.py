"""The recogniser with the clip critic's trunk."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mutoscope.metrics import RecognitionAccuracy
from mutoscope.models.recognizer import ClipRecognizerNet
from mutoscope.models.sa_gcn.discriminators import ClipCritic
from mutoscope.structures import Normaliser

WIDTHS = (12, 12, 16, 8)


def net(**settings: object) -> ClipRecognizerNet:
    torch.manual_seed(0)
    return ClipRecognizerNet(3, 2, 4, **{"length": 6, "widths": WIDTHS, **settings}).eval()  # type: ignore[arg-type]


def clips(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 6, 3, 2, generator=torch.Generator().manual_seed(seed))


def test_its_trunk_is_the_clip_critics_without_the_label() -> None:
    """A critic that does not look at the label sees in a clip what the classifier sees."""
    torch.manual_seed(0)
    critic = ClipCritic(3, 2, 4, length=6, widths=WIDTHS, classifier=True)
    mine = net()
    state = critic.state_dict()
    shared = {name: value for name, value in state.items() if name.split(".")[0] in ("before", "after", "over_time")}
    shared["after.0.weight"] = shared["after.0.weight"][:, :12]
    shared |= {"head.weight": state["classifier.weight"], "head.bias": state["classifier.bias"]}
    mine.load_state_dict({**mine.state_dict(), **shared})
    with torch.no_grad():
        critic.after[0].weight[:, 12:] = 0  # type: ignore[union-attr,index,operator]
    judged = critic(clips(5), torch.tensor([0, 1, 2, 3, 0]))
    assert judged.classes is not None
    torch.testing.assert_close(mine(clips(5)), judged.classes)


def test_it_counts_as_the_paper_says() -> None:
    full = ClipRecognizerNet(15, 2, 10)
    # four layers per frame, a convolution over three frames to one channel, a head on 50 frames
    layers = (31 * 1000, 1001 * 1000, 1001 * 1024, 1025 * 128, 128 * 3 + 1, 51 * 10)
    assert sum(p.numel() for p in full.parameters()) == sum(layers)
    assert full.num_features == 50
    assert net(head_channels=5).features(clips(2)).shape == (2, 30)


def test_it_judges_normalised_clips_of_one_length_each_by_itself() -> None:
    normaliser = Normaliser((5.0, 4.0), (2.0, 0.5))
    scaled, plain = net(normaliser=normaliser), net()
    torch.testing.assert_close(scaled(normaliser.denormalise(clips(4))), plain(clips(4)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain(clips(4))[1:2], plain(clips(4)[1:2]))
    again = net()
    again.load_state_dict(scaled.state_dict())
    torch.testing.assert_close(again(clips(4)), scaled(clips(4)))
    with pytest.raises(ValueError, match=r"\(4, 5, 3, 2\), expected \[b, 6, 3, 2\]"):
        plain(clips(4)[:, 1:])
    with pytest.raises(ValueError, match="head_channels 0"):
        net(head_channels=0)


def test_it_learns_which_way_a_joint_goes() -> None:
    """The direction of a movement lies in the order of frames, which only the head over time can see."""
    label = torch.arange(256) % 4
    path = torch.linspace(-1, 1, 6)
    way = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[label]
    joints = 0.3 * clips(256)
    joints[:, :, 1] += path[:, None] * way[:, None]
    model = net(widths=(32, 32, 32, 16), head_channels=2).train()
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        optimiser.zero_grad()
        functional.cross_entropy(model(joints[:192]), label[:192]).backward()
        optimiser.step()
    accuracy = RecognitionAccuracy(model)
    accuracy.update(joints[192:], label[192:], real=False)
    assert float(accuracy.compute()) > 0.9
