import pytest
import torch
from places import SHARED
from safetensors import safe_open
from torch import Tensor

from mutoscope.metrics import PRESETS, KineticGANMMD, TooFewSamplesError, kinetic_gan_mmd, paper, paper_mmd
from mutoscope.metrics.paper import BANDWIDTHS, best_bandwidth, feed, paper_mmd_table, select_per_class
from mutoscope.structures import Normaliser


def clips(k: int, m: int, seed: int, spread: float = 0.5) -> Tensor:
    return torch.randn(k, m, 4, 5, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread


def double_loop(x: Tensor, y: Tensor, h: float) -> float:
    """The square of the released estimate for two sets of vectors ``[m, d]``; NaN when negative."""

    def k(a: Tensor, b: Tensor) -> float:
        return float(torch.exp(-(a - b).square().sum() / h))

    m = len(x)
    pairs = [(i, j) for i in range(m) for j in range(m) if i != j]
    total = sum(k(x[i], x[j]) + k(y[i], y[j]) - 2 * k(x[i], y[j]) for i, j in pairs) / (m * (m - 1))
    return total**0.5 if total >= 0 else float("nan")


def test_equals_the_double_loop_for_both_modes_and_levels() -> None:
    real, fake = clips(2, 6, 0), clips(2, 6, 1, spread=0.8)
    table = {
        (mode, level): paper_mmd_table(real, fake, mode, level) for mode in ("a", "s") for level in ("set", "as_coded")
    }
    for k in range(2):
        for b in range(2, 12):
            h = BANDWIDTHS[b]
            sets = {
                ("a", "set"): [(real[k, :, t].flatten(1), fake[k, :, t].flatten(1)) for t in range(4)],
                ("s", "set"): [(real[k].flatten(1), fake[k].flatten(1))],
                ("a", "as_coded"): [(real[k, 0, t], fake[k, 0, t]) for t in range(4)],
                ("s", "as_coded"): [(x[k, 0].transpose(0, 1).flatten(1) for x in (real, fake))],
            }
            for key, pairs in sets.items():
                expected = sum(double_loop(x, y, h) for x, y in pairs) / len(pairs)
                got = float(table[key][k, b])
                assert got == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True), (key, k, h)


def test_same_set_in_another_order_is_near_zero_and_negatives_lose() -> None:
    real = clips(2, 12, 0)
    fake = real.flip(1)
    assert torch.isnan(paper_mmd_table(real, fake, "s")).any()
    assert float(paper_mmd(real, fake, "a")) < 0.3 * float(paper_mmd(real, fake + 0.5, "a"))
    clipped = paper_mmd_table(real, fake, "a", negatives="clip")
    assert torch.isfinite(clipped).all()
    table = torch.tensor([[torch.nan, 0.2, 0.1], [torch.nan, torch.nan, torch.nan]])
    assert best_bandwidth(table).tolist() == pytest.approx([0.2, 0.0])


def test_order_of_classes_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = clips(3, 7, 0), clips(3, 7, 1, spread=0.9)
    value = paper_mmd(real, fake)
    torch.testing.assert_close(paper_mmd(real[[2, 0, 1]], fake[[2, 0, 1]]), value)
    monkeypatch.setattr(paper, "_CHUNK", 100)
    torch.testing.assert_close(paper_mmd(real, fake), value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["mmd_a", "mmd_same_set"])
def test_recorded_values_of_sa_gcn(name: str) -> None:
    path = SHARED / "golden" / "sa_gcn" / f"{name}.safetensors"
    if not path.exists():
        pytest.skip("no recordings of SA-GCN here")
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    label = tensors["in/label"].argmax(dim=1)
    for mode, key in (("a", "avg"), ("s", "seq")):
        best = []
        for c in range(tensors["in/label"].shape[1]):
            real, fake = (tensors[f"in/{side}"][label == c][None, ..., None] for side in ("real", "gen"))
            table = paper_mmd_table(real, fake, mode)
            wanted = tensors[f"out/curve_{key}"][c]
            torch.testing.assert_close(table[0], wanted, rtol=1e-5, atol=1e-8, equal_nan=True)
            best.append(best_bandwidth(table))
        torch.testing.assert_close(torch.cat(best).mean(), tensors[f"out/mmd_{key}"][0], rtol=1e-7, atol=1e-9)


def test_selection_skips_item_0_except_for_class_0() -> None:
    label = torch.tensor([1, 0, 1, 1, 0, 0, 1])
    assert select_per_class(label, 2, 3).tolist() == [[1, 4, 5], [2, 3, 6]]
    assert select_per_class(torch.tensor([0, 0, 1, 1]), 2, 2).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(TooFewSamplesError, match="class 1 has 1"):
        select_per_class(torch.tensor([1, 0, 0, 1]), 2, 2)
    with pytest.raises(TooFewSamplesError, match="class 2 has 0"):
        select_per_class(label, 3, 1)


def test_feeder_scales_by_the_whole_array_and_keeps_one_person() -> None:
    raw = torch.zeros(2, 3, 4, 5, 2)
    raw[0, 0, 0, 0, 0], raw[1, 2, 1, 4, 1] = -1.0, 3.0
    items, label = feed(raw, torch.tensor([4, 7]))
    assert items.shape == (2, 4, 5, 3)
    assert float(items[0, 0, 0, 0]) == -1.0
    assert float(items.max()) == -0.5
    assert torch.equal(feed(raw[..., 0], torch.tensor([4, 7]))[0].amax(), torch.tensor(1.0))
    kept, label = feed(raw, torch.tensor([4, 7]), classes=[7, 4, 9])
    assert label.tolist() == [1, 0]
    assert torch.equal(kept, items)
    assert len(feed(raw, torch.tensor([4, 7]), classes=[9])[0]) == 0
    with pytest.raises(ValueError, match=r"\[n, c, t, v\]"):
        feed(raw[0, ..., 0], torch.tensor([4, 7]))


def test_metric_is_the_whole_evaluation_in_metres() -> None:
    normaliser = Normaliser((0.0, 0.5), (2.0, 1.0))
    label = torch.arange(12) % 2
    real, fake = (torch.randn(12, 4, 5, 2, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    assert set(PRESETS) >= {"paper/kinetic_gan_mmd_a", "paper/kinetic_gan_mmd_s"}
    for setting in PRESETS.values():
        metric = KineticGANMMD(normaliser, 2, setting.mode, setting.level, per_class=5)
        for part in (slice(0, 7), slice(7, None)):
            metric.update(normaliser.denormalise(real[part]), label[part], real=True)
            metric.update(normaliser.denormalise(1.5 * fake[part]), label[part], real=False)
        expected = kinetic_gan_mmd(
            real, label, 1.5 * fake, label, num_classes=2, mode=setting.mode, level=setting.level, per_class=5
        )
        torch.testing.assert_close(metric.compute(), expected, rtol=1e-5, atol=1e-6)
    few = KineticGANMMD(normaliser, 2, per_class=7)
    few.update(real, label, real=True)
    few.update(fake, label, real=False)
    with pytest.raises(TooFewSamplesError, match="7 items of every class"):
        few.compute()


def test_length_limits_the_frames_compared() -> None:
    real, fake = (torch.randn(8, t, 5, 2, generator=torch.Generator().manual_seed(t)) for t in (9, 7))
    label = torch.arange(8) % 2
    cut = kinetic_gan_mmd(real, label, fake, label, num_classes=2, per_class=3, length=6)
    torch.testing.assert_close(
        cut, kinetic_gan_mmd(real[:, :6], label, fake[:, :6], label, num_classes=2, per_class=3), rtol=0, atol=0
    )
    with pytest.raises(ValueError, match="expected both"):
        kinetic_gan_mmd(real, label, fake, label, num_classes=2, per_class=3, length=8)


def test_wrong_input_is_refused() -> None:
    real = clips(1, 3, 0)
    with pytest.raises(ValueError, match="mode is 'b'"):
        paper_mmd(real, real, "b")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="level is 'all'"):
        paper_mmd(real, real, level="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN"):
        paper_mmd(real, real * torch.nan)
    with pytest.raises(TooFewSamplesError, match="got 1"):
        paper_mmd(real[:, :1], real[:, :1])
