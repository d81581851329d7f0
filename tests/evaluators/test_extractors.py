"""Published networks against other people's programs, on the same weights, which were drawn."""

import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_weights import i3d_file, inception_file
from tiny_extractors import clips_extractor, frames_extractor
from torch import Tensor, nn

from mutoscope.evaluators import extractors, inception_v3
from mutoscope.evaluators import i3d as i3d_module
from mutoscope.evaluators.distances import FID, FVD, KID, ContentDebiasedFVD
from mutoscope.evaluators.extractors import Extractor, i3d_extractor, inception_extractor, videomae_extractor
from mutoscope.evaluators.i3d import I3D
from mutoscope.evaluators.inception_v3 import InceptionV3, resize_as_tensorflow1
from mutoscope.evaluators.videomae import VideoMAE
from mutoscope.formats.archives import read_archive
from mutoscope.formats.state_dicts import DamagedFileError
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.metrics.common import MetricWarning, TooFewSamplesError


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inception_file(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def i3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return i3d_file(tmp_path_factory.mktemp("weights"))


def clips(b: int, t: int, h: int, w: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(b, t, 3, h // 8, w // 8, generator=generator).flatten(0, 1)
    big = F.interpolate(small, (h, w), mode="bilinear").unflatten(0, (b, t))
    return (big * 255).round().byte()


def close(found: Tensor, wanted: Tensor) -> None:
    scale = float(wanted.abs().max())
    assert scale > 0.01
    assert float(wanted.std(dim=0).mean()) > 1e-3 * scale, "all samples look alike, which compares nothing"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * scale)


def test_resizing_looks_where_tensorflow_did() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    found = resize_as_tensorflow1(x, (4, 6))
    # place i of the result is place i * old / new; beyond the last one it stays
    assert found[0, 0, 0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert found[0, 0, :, 0].tolist() == [0.0, 1.5, 3.0, 3.0]
    torch.testing.assert_close(resize_as_tensorflow1(x, (1, 2))[0, 0, 0], torch.tensor([0.0, 1.5]))


@pytest.mark.parametrize("size", [(8, 30), (30, 8), (12, 16), (40, 50)])
def test_resizing_bytes_is_resizing_their_values(size: tuple[int, int]) -> None:
    images = clips(1, 2, 16, 24)[0]
    found = resize_as_tensorflow1(images, size)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, resize_as_tensorflow1(images.double(), size).float(), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (partial(inception_v3._Fine, 6, 5), 9),
        (partial(inception_v3._Middle, 6, 4), 7),
        (partial(inception_v3._SecondReduction, 6), 7),
        (partial(inception_v3._Coarse, 6, by_maximum=False), 5),
        (partial(inception_v3._Coarse, 6, by_maximum=True), 5),
    ],
)
@torch.no_grad()
def test_branches_that_begin_together_give_what_they_give_apart(
    make: Callable[[], inception_v3._Block], side: int
) -> None:
    torch.manual_seed(0)
    block = make().double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 6, side, side, dtype=torch.float64)
    apart = block(x)
    assert float(apart.std()) > 0.1
    extractors._fused(block)
    block.merge_heads()
    assert not {name for name, _ in block.named_children()} & set(block.heads)
    torch.testing.assert_close(block(x), apart)


def test_in_how_many_parts_the_first_layers_see_pictures_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, x = InceptionV3().eval(), torch.randn(3, 3, 75, 75)
    with torch.no_grad():
        whole = network(x)[0]
        monkeypatch.setattr(inception_v3, "_STEM", 1)
        monkeypatch.setattr(inception_v3, "_FINE", 2)
        torch.testing.assert_close(network(x)[0], whole, rtol=1e-4, atol=1e-5)


def test_inception_is_that_of_torch_fidelity(inception: Path) -> None:
    theirs = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    interpolate = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    frames = clips(1, 3, 120, 72)
    network = theirs.FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception)
    )
    features, logits = inception_extractor(inception).features(frames)
    wanted = network(frames[0])
    close(features, wanted[0])
    close(logits, wanted[1])
    for size in ((299, 299), (40, 50)):
        resized = interpolate.interpolate_bilinear_2d_like_tensorflow1x(
            frames[0].float(), size=size, align_corners=False
        )
        torch.testing.assert_close(resize_as_tensorflow1(frames[0].float(), size), resized, rtol=1e-4, atol=1e-2)


def test_inception_resized_as_torch_does_is_that_of_pytorch_fid(inception: Path) -> None:
    """The same layers behind the other rule: torch's bilinear resizing of 0..1, then -1..1."""
    frames = clips(1, 2, 96, 64)
    network = inception_extractor(inception).network
    scaled = F.interpolate(frames[0] / 255, (299, 299), mode="bilinear", align_corners=False) * 2 - 1
    with torch.no_grad():
        wanted = network(scaled)[0]
    found = inception_extractor(inception, "bilinear").features(frames)[0]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, inception_extractor(inception).features(frames)[0], rtol=1e-3)


def test_i3d_is_that_of_cd_fvd(i3d: Path) -> None:
    module = pytest.importorskip("cdfvd.third_party.i3d.pytorch_i3d", reason="cd-fvd is not installed")
    utils = pytest.importorskip("cdfvd.third_party.i3d.utils")
    frames = clips(2, 10, 64, 48)
    network = module.InceptionI3d(400).eval()
    network.load_state_dict(torch.load(i3d, weights_only=True), strict=False)
    with torch.no_grad():
        wanted = network(utils.preprocess_i3d(frames.permute(0, 1, 3, 4, 2).numpy()))
    close(i3d_extractor(i3d, "i3d_tats", frames=None).features(frames)[0], wanted)
    # TensorFlow's constant of batch normalisation makes another number of the same weights
    assert not torch.allclose(i3d_extractor(i3d, frames=None).features(frames)[0], wanted, rtol=1e-4)


def test_fvd_is_that_of_cd_fvd_from_end_to_end(i3d: Path) -> None:
    """Frames in, distance out: its preprocessing, network, moments and matrix root, on the same weights."""
    theirs = pytest.importorskip("cdfvd.fvd", reason="cd-fvd is not installed").cdfvd(
        "i3d", ckpt_path=str(i3d), device="cpu"
    )
    sides = clips(3, 9, 48, 40), clips(2, 9, 48, 40, seed=1) // 2
    metric = FVD(weights=str(i3d), network="i3d_tats", frames=None)
    metric.update(fake_frames=sides[1])
    metric.update(real_frames=sides[0])
    wanted = theirs.compute_fvd(*(side.permute(0, 1, 3, 4, 2).numpy() for side in sides))
    assert wanted > 1
    with pytest.warns(MetricWarning, match="biased upward"):
        assert float(metric.compute()) == pytest.approx(float(wanted), rel=1e-4)


@pytest.fixture
def videomae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A narrow VideoMAE in its publisher's form; the published one has a thousand million parameters."""
    narrow = partial(VideoMAE, width=64, depth=2, heads=4, hidden=96)
    monkeypatch.setattr(extractors, "VideoMAE", narrow)
    generator = torch.Generator().manual_seed(3)
    state = {name: torch.randn(x.shape, generator=generator) / 8 for name, x in narrow().state_dict().items()}
    state |= {"head.weight": torch.zeros(174, 64), "head.bias": torch.zeros(174)}
    torch.save({"module": state, "epoch": torch.tensor(30)}, tmp_path / "videomae.pth")
    return tmp_path / "videomae.pth"


def test_content_debiased_fvd_is_that_of_cd_fvd(videomae: Path) -> None:
    """Its network, preprocessing, moments and matrix root, on the same weights."""
    module = pytest.importorskip("cdfvd.third_party.VideoMAEv2.videomaev2_finetune", reason="cd-fvd is not installed")
    fvd = pytest.importorskip("cdfvd.fvd")
    metric_utils = pytest.importorskip("cdfvd.utils.metric_utils")
    sizes = {"embed_dim": 64, "depth": 2, "num_heads": 4, "mlp_ratio": 1.5, "num_classes": 174}
    published = {"img_size": 224, "patch_size": 14, "all_frames": 16, "tubelet_size": 2, "use_mean_pooling": True}
    norm = partial(nn.LayerNorm, eps=1e-6)
    network = module.VisionTransformer(**sizes, **published, qkv_bias=True, norm_layer=norm, init_values=0.0)
    network.load_state_dict(torch.load(videomae, weights_only=True)["module"])
    sides = clips(4, 17, 64, 48), clips(3, 17, 64, 48, seed=1) // 2
    metric, stats = ContentDebiasedFVD(weights=str(videomae)), []
    for name, frames in zip(("real", "fake"), sides, strict=True):
        metric.update(**{f"{name}_frames": frames})
        found = metric_utils.FeatureStats(capture_all=True, capture_mean_cov=True)
        seen = frames[:, :16].permute(0, 1, 3, 4, 2).numpy()
        stats.append(fvd.get_videomae_features(found, network.eval(), seen, device="cpu"))
        close(videomae_extractor(videomae).features(frames)[0], torch.from_numpy(found.get_all()))
    wanted = fvd.cdfvd.compute_fvd_from_stats(None, stats[1], stats[0])
    assert wanted > 0.01
    with pytest.warns(MetricWarning, match="biased upward"):
        assert float(metric.compute()) == pytest.approx(float(wanted), rel=1e-4)


def test_videomae_says_what_it_is_not(videomae: Path, i3d: Path) -> None:
    with pytest.raises(ValueError, match=r"no weights of VideoMAE V2's ViT-g: 'patch_embed.proj.weight'"):
        videomae_extractor(i3d)
    with pytest.raises(TooFewSamplesError, match="16 frames, one in 2, for which clips of 31 frames"):
        videomae_extractor(videomae, stride=2).features(clips(1, 20, 32, 32))
    with pytest.raises(ValueError, match="clips of 8 frames of 224x224, expected 16"):
        extractors.VideoMAE()(torch.zeros(1, 3, 8, 224, 224))
    with pytest.raises(MissingWeightsError, match=r"vit_g_hybrid_pt_1200e_ssv2_ft\.pth"):
        videomae_extractor()


def test_fid_is_that_of_pytorch_fid_from_features_on(inception: Path) -> None:
    """Its own network and matrix root, on the same weights."""
    theirs = pytest.importorskip("pytorch_fid.inception", reason="pytorch-fid is not installed")
    score = pytest.importorskip("pytorch_fid.fid_score")
    sides = clips(2, 3, 64, 48), clips(1, 5, 64, 48, seed=1) // 2
    network = pytorch_fid_network(theirs, inception)
    metric = FID(weights=str(inception), resize="bilinear")
    moments = []
    for name, frames in zip(("real", "fake"), sides, strict=True):
        metric.update(**{f"{name}_frames": frames})
        with torch.no_grad():
            features = network(frames.flatten(0, 1) / 255)[0].flatten(1).double().numpy()
        moments += [features.mean(axis=0), np.cov(features, rowvar=False)]
    wanted = score.calculate_frechet_distance(*moments)
    assert wanted > 0.1
    with pytest.warns(MetricWarning, match="biased upward"):
        assert float(metric.compute()) == pytest.approx(float(wanted), rel=1e-4)


def pytorch_fid_network(theirs: Any, inception: Path) -> nn.Module:
    """Its network with these weights, without fetching its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: torch.load(inception, weights_only=True))
        return theirs.InceptionV3([3]).eval()


@pytest.mark.parametrize(("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((3, 3, 3), (2, 2, 2))])
def test_pooling_axis_by_axis_is_pooling(kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
    x = torch.rand(2, 3, 7, 9, 8, generator=torch.Generator().manual_seed(0))
    wanted = F.max_pool3d(i3d_module._pad_same(x, kernel, stride), kernel, stride)
    assert torch.equal(i3d_module.max_pool(x, kernel, stride), wanted)
    even = x[:, :, :6, :8]
    assert torch.equal(i3d_module.max_pool(even, (2, 2, 2), (2, 2, 2)), F.max_pool3d(even, 2))


def test_i3d_looks_at_the_frames_that_it_was_told(i3d: Path) -> None:
    frames = clips(1, 24, 32, 32)
    found = i3d_extractor(i3d, frames=9, stride=2).features(frames)[0]
    torch.testing.assert_close(found, i3d_extractor(i3d, frames=None).features(frames[:, :17:2])[0])
    with pytest.raises(TooFewSamplesError, match="clips of 31 frames are needed; these have 24"):
        i3d_extractor(i3d, frames=16, stride=2).features(frames)
    with pytest.raises(ValueError, match="expected at least 9 frames"):
        i3d_extractor(i3d, frames=8)


def scripted(i3d: Path) -> nn.Module:
    """A module with the names of layers of the archive of StyleGAN-V, which is never asked for anything."""
    root = nn.Module()
    for key, value in torch.load(i3d, weights_only=True).items():
        name = key.replace("logits.", "conv3d_0c_1x1.").replace(".bn.", ".batch3d.").replace("Conv3d_", "conv3d_")
        name = name.replace("Mixed_", "mixed_")
        for ours, theirs in (("b0", "branch_0"), ("b1a", "branch_1.0"), ("b1b", "branch_1.1"), ("b2a", "branch_2.0")):
            name = name.replace(f".{ours}.", f".{theirs}.")
        name = name.replace(".b2b.", ".branch_2.1.").replace(".b3b.", ".branch_3.1.")
        *path, last = name.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        module.register_buffer(last, value)
    return root


def test_the_archive_of_stylegan_v_holds_the_same_network(i3d: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(scripted(i3d)).save(tmp_path / "i3d_torchscript.pt")
    frames = clips(1, 9, 32, 32)
    found = i3d_extractor(tmp_path / "i3d_torchscript.pt", frames=None).features(frames)[0]
    torch.testing.assert_close(found, i3d_extractor(i3d, frames=None).features(frames)[0])


def test_archives_are_read_as_data(tmp_path: Path, i3d: Path) -> None:
    assert read_archive(i3d) is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))).save(tmp_path / "a.pt")
        wanted = torch.jit.load(tmp_path / "a.pt").state_dict()
    found = read_archive(tmp_path / "a.pt")
    assert found is not None
    assert set(found) == set(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("a/code/x.py", "")
        archive.writestr("a/data.pkl", b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DamagedFileError, match=r"evil\.pt .*names os\.system, which is neither"):
        read_archive(tmp_path / "evil.pt")


def test_weights_of_something_else_are_refused(inception: Path, i3d: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no weights of Inception-v3 .*'Conv2d_1a_3x3\.conv\.weight'.*there is none"):
        inception_extractor(i3d)
    with pytest.raises(ValueError, match="no weights of I3D"):
        i3d_extractor(inception)
    torch.save({**torch.load(i3d, weights_only=True), "more": torch.ones(1)}, tmp_path / "more.pt")
    with pytest.raises(ValueError, match="they hold 'more'"):
        i3d_extractor(tmp_path / "more.pt")
    with pytest.raises(MissingWeightsError, match=r"no file .*nothing\.pt"):
        FVD(weights=str(tmp_path / "nothing.pt"))
    with pytest.raises(ValueError, match="resize is 'nearest'"):
        inception_extractor(inception, "nearest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network is 'c3d'"):
        i3d_extractor(i3d, "c3d")  # type: ignore[arg-type]


def test_metrics_share_one_network_and_look_once(inception: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fid, kid = FID(weights=str(inception)), KID(weights=str(inception), subsets=None)
    assert fid.classifier is kid.classifier
    looked: list[int] = []
    look: Callable[..., Any] = type(fid.classifier)._look  # type: ignore[attr-defined]
    monkeypatch.setattr(type(fid.classifier), "_look", lambda self, x: looked.append(1) or look(self, x))
    frames = clips(1, 2, 32, 32)
    for metric in (fid, kid):
        metric.update(frames, frames)
    assert len(looked) == 1
    # other content in the same place is looked at again
    frames[0, 0] = 7
    fid.update(fake_frames=frames)
    assert len(looked) == 2


@pytest.mark.parametrize("per", ["frame", "clip"])
def test_samples_that_were_seen_lately_are_not_looked_at_again(per: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = frames_or_clips(per)
    looked: list[int] = []
    look = extractor._look_at_all
    monkeypatch.setattr(extractor, "_look_at_all", lambda x: looked.append(len(x)) or look(x))
    first = clips(3, 4, 16, 16)
    first[2] = first[0]
    found = extractor.features(first)
    count = 4 if per == "frame" else 1
    assert looked == [2 * count]
    # in another order, and every clip on its own: nothing is new
    again = extractor.features(first.flip(0).contiguous())
    for new, old in zip(again, found, strict=True):
        assert torch.equal(new, old.unflatten(0, (3, count)).flip(0).flatten(0, 1))
    torch.testing.assert_close(found[0][:count], frames_or_clips(per).features(first[:1])[0])
    assert looked == [2 * count]
    # another size of the same bytes is something else
    extractor.features(first.view(3, 4, 3, 8, 32))
    assert looked == [2 * count] * 2
    monkeypatch.setattr(extractors, "_REMEMBERED", 1)
    extractor.features(first[:1].clone())
    assert len(extractor._remembered) == 1
    extractor.double()
    assert not extractor._remembered


def frames_or_clips(per: str) -> Extractor:
    return frames_extractor() if per == "frame" else clips_extractor(frames=4)


def test_a_pinned_extractor_stays_where_it_is(i3d: Path) -> None:
    metric = FVD(weights=str(i3d), frames=9)
    extractor = metric.classifier
    assert isinstance(extractor, Extractor)
    extractor.pin(torch.device("meta"))
    metric.cpu()
    assert next(extractor.parameters()).device.type == "meta"
    assert metric.real_sum.device.type == "cpu"


def test_an_extractor_never_trains(i3d: Path) -> None:
    metric = FVD(weights=str(i3d), frames=9)
    metric.train()
    assert not any(module.training for module in metric.classifier.modules())  # type: ignore[attr-defined]
    assert not [p for p in metric.parameters() if p.requires_grad]
    with pytest.raises(ValueError, match="I3D got clips of 8 frames"):
        I3D()(torch.zeros(1, 3, 8, 224, 224))
