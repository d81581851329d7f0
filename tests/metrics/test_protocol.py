import json
from dataclasses import replace

import pytest
import torch
from torchmetrics import Metric

from mutoscope.metrics import (
    BoneDrift,
    FrechetDistance,
    MetricValue,
    NearestTrainingDistance,
    Protocol,
    TooFewSamplesError,
    bootstrap_interval,
    compare,
    state_hash,
)
from mutoscope.metrics.protocol import protocol_of
from mutoscope.structures import NTU25, DatasetInfo

PROTOCOL = Protocol("motion_fid", 1000, 800, 1, "abc", "toy-1", 64, 30.0, 0)


def test_round_trip_through_json() -> None:
    value = MetricValue(1.5, PROTOCOL, (1.0, 2.0))
    assert MetricValue.from_dict(json.loads(json.dumps(value.to_dict()))) == value
    bare = MetricValue(1.5, PROTOCOL)
    assert MetricValue.from_dict(json.loads(json.dumps(bare.to_dict()))) == bare


def test_hash_is_stable_and_sees_every_field() -> None:
    assert PROTOCOL.hash == "3e600ef60b12"
    assert replace(PROTOCOL, fps=30).hash == PROTOCOL.hash
    other = Protocol("motion_mmd", 1, 2, None, None, "toy-2", 32, 25.0, 1, 2)
    hashes = {replace(PROTOCOL, **{name: value}).hash for name, value in other.to_dict().items()}
    assert len(hashes | {PROTOCOL.hash}) == 11


def test_edited_files_are_noticed() -> None:
    stored = MetricValue(1.5, PROTOCOL).to_dict()
    stored["protocol"]["n_fake"] = 10
    with pytest.raises(ValueError, match="was edited"):
        MetricValue.from_dict(stored)
    values = PROTOCOL.to_dict() | {"pictures": 3}
    values.pop("seed")
    with pytest.raises(ValueError, match="missing: seed, unknown: pictures"):
        Protocol.from_dict(values)


def test_compare_refuses_unlike_protocols_by_name() -> None:
    a, b = MetricValue(3.0, PROTOCOL), MetricValue(1.0, PROTOCOL)
    assert compare(a, b) == 2.0
    unlike = MetricValue(1.0, replace(PROTOCOL, n_fake=100, ddof=0))
    with pytest.raises(ValueError, match=r"n_fake \(800 and 100\), ddof \(1 and 0\)"):
        compare(a, unlike)


def test_state_hash_sees_names_types_shapes_and_values() -> None:
    state = {"a": torch.arange(4.0), "b": torch.tensor(3)}
    assert state_hash(dict(reversed(state.items()))) == state_hash(state)
    others = [
        {"a": torch.arange(4.0).view(2, 2), "b": state["b"]},
        {"a": torch.arange(4.0).double(), "b": state["b"]},
        {"a": torch.arange(4.0) + 1e-6, "b": state["b"]},
        {"c": torch.arange(4.0), "b": state["b"]},
    ]
    assert len({state_hash(s) for s in [state, *others]}) == 5
    assert len(state_hash({"h": torch.ones(2, dtype=torch.bfloat16)})) == 16


def test_bootstrap_interval_covers_the_mean() -> None:
    hits = 0
    for seed in range(60):
        samples = torch.randn(50, generator=torch.Generator().manual_seed(seed)) + 2
        low, high = bootstrap_interval(samples, torch.mean, level=0.9, draws=200)
        hits += low <= 2 <= high
    assert 45 <= hits <= 60
    assert bootstrap_interval(samples, torch.mean, seed=3) == bootstrap_interval(samples, torch.mean, seed=3)
    wide, narrow = (bootstrap_interval(samples, torch.mean, level=level) for level in (0.99, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    with pytest.raises(TooFewSamplesError, match="got 1"):
        bootstrap_interval(samples[:1], torch.mean)
    with pytest.raises(ValueError, match="level is 1"):
        bootstrap_interval(samples, torch.mean, level=1.0)


def test_a_metrics_protocol_says_what_it_looks_at() -> None:
    info = DatasetInfo(name="x", kind="motion", classes=("a",), fps=30.0, length=16, channels=3, skeleton=NTU25)

    def of(metric: Metric) -> Protocol:
        return protocol_of("m", metric, dataset="abc", info=info, n_fake=40, n_real=200, seed=3)

    assert (of(BoneDrift(NTU25)).n_fake, of(BoneDrift(NTU25)).n_real) == (40, 0)
    assert (of(BoneDrift(NTU25, of="real")).n_fake, of(BoneDrift(NTU25, of="real")).n_real) == (0, 200)
    assert of(NearestTrainingDistance(torch.zeros(7, 16, 25, 3))).n_real == 7
    fid = of(FrechetDistance(3, ddof=0))
    assert (fid.n_fake, fid.n_real, fid.ddof, fid.extractor, fid.length, fid.seed) == (40, 200, 0, None, 16, 3)
