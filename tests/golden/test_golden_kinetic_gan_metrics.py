"""Replay of recorded evaluations of Kinetic-GAN: MMD on tensors, the whole MMD procedure, Fréchet distance, feeder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from places import ROOT, SHARED
from safetensors import safe_open
from torch import Tensor

from mutoscope.metrics import FrechetDistance, frechet_distance_of_features, kinetic_gan_mmd
from mutoscope.metrics.paper import best_bandwidth, feed, paper_mmd_table, select_per_class
from mutoscope.structures import Normaliser, scalar_range

KINDS = ("mmd_script", "mmd", "frechet", "feeder")


def directory(config: pytest.Config) -> Path:
    given = config.getoption("--golden", default=None)
    if given is None:
        return SHARED / "golden"
    return Path(given) if Path(given).exists() else ROOT / given


def kind_of(path: Path) -> str | None:
    return next((kind for kind in KINDS if path.stem == kind or path.stem.startswith(f"{kind}_")), None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recording" in metafunc.fixturenames:
        files = sorted(directory(metafunc.config).glob("kinetic_gan/*.safetensors"))
        mine = [path for path in files if kind_of(path)]
        absent = pytest.param(None, id="absent", marks=pytest.mark.skip("no recordings of kinetic_gan's metrics here"))
        metafunc.parametrize("recording", mine or [absent], ids=lambda path: path.stem)


def test_recording_is_reproduced(recording: Path) -> None:
    with safe_open(recording, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config = json.loads((file.metadata() or {}).get("config", "{}"))
    replay: dict[str, Callable[[dict[str, Tensor], dict[str, float]], None]] = {
        "mmd": replay_mmd,
        "mmd_script": replay_mmd_script,
        "frechet": replay_frechet,
        "feeder": replay_feeder,
    }
    replay[str(kind_of(recording))](tensors, config)


def replay_mmd(tensors: dict[str, Tensor], config: dict[str, float]) -> None:
    real, fake = (tensors[f"in/{side}"].permute(0, 1, 3, 4, 2) for side in ("real", "fake"))
    for mode in ("a", "s"):
        table = paper_mmd_table(real, fake, mode, "set")
        wanted = tensors[f"out/set_level/mmd_{mode}_table_f64"].to(table)
        torch.testing.assert_close(table, wanted, rtol=1e-6, atol=1e-8, equal_nan=True)
        value = best_bandwidth(table).mean()
        torch.testing.assert_close(
            value, tensors[f"out/set_level/mmd_{mode}_f64"].to(table).squeeze(), rtol=1e-9, atol=0
        )
        per_class = tensors[f"out/set_level/mmd_{mode}_per_class"].to(table)
        torch.testing.assert_close(best_bandwidth(table), per_class, rtol=1e-5, atol=1e-5)

        # recorded in float32, where rounding decides between a tiny value and a discarded one
        as_coded = best_bandwidth(paper_mmd_table(real, fake, mode, "as_coded"))
        torch.testing.assert_close(as_coded, tensors[f"out/as_coded/mmd_{mode}_per_class"].to(table), rtol=0, atol=1e-4)
        recorded = tensors[f"out/as_coded/mmd_{mode}"].to(table).squeeze()
        torch.testing.assert_close(as_coded.mean(), recorded, rtol=0, atol=1e-4)


def replay_mmd_script(tensors: dict[str, Tensor], config: dict[str, float]) -> None:
    real, real_label = feed(tensors["in/real_q"] * config["real_scale"], tensors["in/labels_real"])
    fake = tensors["in/fake_q"] * config["fake_scale"]
    fake = (fake[..., 0] if fake.ndim == 5 else fake).permute(0, 2, 3, 1)
    fake_label = tensors["in/labels_fake"]
    classes, per_class = tensors["out/selected_real"].shape
    for side, label in (("real", real_label), ("fake", fake_label)):
        assert torch.equal(select_per_class(label, classes, per_class), tensors[f"out/selected_{side}"])
    length = int(config.get("t", min(real.shape[1], fake.shape[1])))
    for mode in ("a", "s"):
        # set level: the recording scaled the clips by another order of float32 operations
        for level, key, tolerance in (("set", "set_level", 1e-6), ("as_coded", "as_coded", 1e-4)):
            value = kinetic_gan_mmd(
                real,
                real_label,
                fake,
                fake_label,
                num_classes=classes,
                mode=mode,
                level=level,
                length=length,
                per_class=per_class,
            )
            recorded = tensors[f"out/{key}/mmd_{mode}"].to(value).squeeze()
            torch.testing.assert_close(value, recorded, rtol=0, atol=tolerance)


def replay_frechet(tensors: dict[str, Tensor], config: dict[str, float]) -> None:
    real, fake = tensors["in/features_real"], tensors["in/features_fake"]
    wanted = tensors["out/fid"].squeeze()
    metric = FrechetDistance(real.shape[1])
    metric.update(real, real=True)
    metric.update(fake, real=False)
    torch.testing.assert_close(frechet_distance_of_features(real, fake), wanted, rtol=1e-8, atol=1e-9)
    if min(len(real), len(fake)) > real.shape[1]:
        torch.testing.assert_close(metric.compute(), wanted, rtol=1e-8, atol=1e-9)
    else:
        with pytest.warns(UserWarning, match="biased"):
            torch.testing.assert_close(metric.compute(), wanted, rtol=1e-6, atol=1e-6)


def replay_feeder(tensors: dict[str, Tensor], config: dict[str, float]) -> None:
    raw, label = tensors["in/data"], tensors["in/labels"]
    low, high = scalar_range([raw])
    assert (low, high) == (float(tensors["out/min"]), float(tensors["out/max"]))
    clips, labels = feed(raw, label)
    torch.testing.assert_close(clips.permute(0, 3, 1, 2), tensors["out/items"], rtol=1e-5, atol=1e-6)
    assert torch.equal(labels, tensors["out/item_labels"])
    clips, labels = feed(raw, label, classes=tensors["in/filter_classes"].tolist())
    torch.testing.assert_close(clips.permute(0, 3, 1, 2), tensors["out/filtered/items"], rtol=1e-5, atol=1e-6)
    assert torch.equal(labels, tensors["out/filtered/labels"])
    # what was scaled can be mapped back
    normaliser = Normaliser.from_range(low, high, raw.shape[1])
    back = normaliser.denormalise(feed(raw, label)[0][0]).permute(2, 0, 1)
    torch.testing.assert_close(back, tensors["out/unnormalised/item0"], rtol=1e-5, atol=1e-5)
