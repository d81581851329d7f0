"""Replay of recorded evaluations of SA-GCN: its MMD per class and bandwidth, and the whole number."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mutoscope.metrics import sa_gcn_mmd
from mutoscope.metrics.paper import paper_mmd_table


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recording" in metafunc.fixturenames:
        files = sorted((metafunc.config.golden_dir / "sa_gcn").glob("mmd*.safetensors"))  # type: ignore[attr-defined]
        absent = pytest.param(None, id="absent", marks=pytest.mark.skip("no recordings of SA-GCN's metrics here"))
        metafunc.parametrize("recording", files or [absent], ids=lambda path: path.stem)


def test_sa_gcn_mmd_is_reproduced(recording: Path) -> None:
    with safe_open(recording, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    label = tensors["in/label"].argmax(dim=1)
    real, fake = (tensors[f"in/{side}"][..., None] for side in ("real", "gen"))
    classes = tensors["in/label"].shape[1]
    for mode, name in (("s", "seq"), ("a", "avg")):
        for c, wanted in enumerate(tensors[f"out/curve_{name}"]):
            found = paper_mmd_table(real[label == c][None], fake[label == c][None], mode)[0]
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-8, equal_nan=True)
        value = sa_gcn_mmd(real, label, fake, label, num_classes=classes, mode=mode)
        torch.testing.assert_close(value, tensors[f"out/mmd_{name}"].squeeze(), rtol=1e-7, atol=1e-9)
    # in single precision sets that coincide leave rounding under the root
    torch.testing.assert_close(
        sa_gcn_mmd(real, label, fake, label, num_classes=classes).float(),
        tensors["out/mmd_seq_float32"].float().squeeze(),
        rtol=1e-5,
        atol=1e-4,
    )
