"""Somebody else's package brings a kind of data, a dataset, a model and a metric; no file of this repository knows."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from stored import protocols_missing

import mutoscope as ms
from mutoscope import kinds
from mutoscope.cli import main as cli
from mutoscope.config.choices import choices
from mutoscope.data import registry
from mutoscope.kinds import registry as kind_registry
from mutoscope.kinds.registry import DataKind, register
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import evaluate
from mutoscope.verbs.generate import generate
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
FILES = {
    "tones/__init__.py": "",
    # what the kind declares; light, for --help
    "tones/kind.py": '''
        from dataclasses import dataclass

        from mutoscope.kinds import DataKind


        @dataclass(frozen=True)
        class ToneRequest:
            """Tones of one pitch.

            Args:
                pitch: name of a class
                n: tones; 3 by default
            """

            pitch: str
            n: int = 3


        @dataclass(frozen=True)
        class ToneOptions:
            """Of the evaluation.

            Args:
                gain: of what is generated
            """

            gain: float = 1.0


        KIND = DataKind("tones", "tones", ToneRequest, ToneOptions, "tones.tools.ToneTools")
    ''',
    "tones/data.py": '''
        from dataclasses import dataclass, fields

        import torch
        from torch import Tensor
        from torch.utils.data import Dataset

        from mutoscope.data.datamodule import DataModule
        from mutoscope.structures import DatasetInfo


        @dataclass(frozen=True)
        class ToneBatch:
            wave: Tensor  # [b, t]
            label: Tensor  # [b]

            def __len__(self):
                return len(self.label)

            def to(self, *args, **kwargs):
                return type(self)(*(getattr(self, f.name).to(*args, **kwargs) for f in fields(self)))

            pin_memory = to

            @classmethod
            def cat(cls, batches):
                return cls(*(torch.cat([getattr(b, f.name) for b in batches]) for f in fields(cls)))


        class Waves(Dataset):
            def __init__(self, clips, length):
                self.label = torch.arange(clips) % 2
                self.wave = torch.sin(torch.arange(length) * (0.3 + 0.4 * self.label[:, None]))

            def __len__(self):
                return len(self.label)

            def __getitems__(self, indices):
                return ToneBatch(self.wave[indices], self.label[indices])


        class SineTones(DataModule):
            """Sines of two pitches.

            Args:
                clips: of either split
                length: samples of a tone
            """

            kind = "tones"

            def __init__(
                    self, *, clips: int = 16, length: int = 20, batch_size: int = 4, num_workers: int = 0, seed: int = 0
                ):
                super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed)
                self.clips, self.length = clips, length

            @property
            def info(self):
                return DatasetInfo(
                    name="sine_tones", kind="tones", classes=("low", "high"), fps=100.0, length=self.length, channels=1
                )

            def dataset(self, split):
                return Waves(self.clips, self.length)

            @property
            def fingerprint(self):
                return f"{self.clips}-{self.length}"
    ''',
    "tones/model.py": '''
        from dataclasses import dataclass
        from typing import Unpack

        import torch
        from torch import Tensor, nn
        from torch.nn import functional

        from mutoscope.models.generative import GenerativeModule, GenerativeSettings
        from mutoscope.models.seeding import seeded
        from mutoscope.structures import DatasetInfo, Sample


        @dataclass(frozen=True, kw_only=True)
        class ToneSample(Sample):
            label: Tensor


        class Whistle(GenerativeModule):
            """Learns the mean tone of each class."""

            takes = "tones"

            def __init__(self, info: DatasetInfo, *, noise: float = 0.1, **training: Unpack[GenerativeSettings]):
                super().__init__(info, **training)
                self.noise = noise
                self.table = nn.Embedding(info.num_classes, info.length)
                self.ready()

            @property
            def generator(self):
                return self.table

            def networks(self):
                return {"table": [self.table]}

            def training_step(self, batch, batch_idx):
                self.latest["loss/tone"] = self.update(
                    "table", [lambda: functional.mse_loss(self.table(batch.label), batch.wave)]
                )

            @torch.inference_mode()
            def generate(self, batch, *, seed: int = 0):
                label = (batch if isinstance(batch, Tensor) else batch.label).to(self.device)
                with seeded(seed, self.device):
                    noise = torch.randn(len(label), self.info.length, device=self.device)
                return ToneSample(fake=self.averaged(label) + self.noise * noise, info=self.info, label=label)
    ''',
    "tones/metric.py": '''
        import torch
        from torchmetrics import Metric


        class Loudness(Metric):
            """Mean power over that of the loudest training tone."""

            higher_is_better = None
            meaning = "mean power"
            caveat = "Power is not beauty."

            def __init__(self, num_classes: int, loudest: float, floor: float = 0.0) -> None:
                super().__init__()
                self.num_classes, self.loudest, self.floor = num_classes, loudest, floor
                self.add_state("power", torch.tensor(0.0), dist_reduce_fx="sum")
                self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

            def update(self, wave: torch.Tensor) -> None:
                self.power += wave.square().mean(dim=1).sum()
                self.count += len(wave)

            def compute(self):
                return self.power / self.count / self.loudest + self.floor


        class Thirsty(Loudness):
            """Asks for what no data have."""

            def __init__(self, water: int) -> None:
                super().__init__(water, 1.0)


        class Boned(Loudness):
            """Asks for what these data do not have."""

            def __init__(self, skeleton: object) -> None:
                super().__init__(2, 1.0)
    ''',
    "tones/tools.py": """
        from dataclasses import dataclass

        import numpy as np
        import torch

        from mutoscope.data.sampling import clips_of
        from mutoscope.evaluators.metrics import Provided, build_metrics
        from mutoscope.kinds.base import CardText, Measurement
        from mutoscope.kinds.measuring import Measuring
        from mutoscope.kinds.results import Evaluation, Generated
        from mutoscope.kinds.tables import Row, Table, metric_column


        @dataclass(frozen=True, kw_only=True, eq=False)
        class GeneratedTones(Generated):
            def describe(self):
                return f"{len(self.sample.fake)} tones"

            def write(self, out, *, gif):
                out.mkdir(parents=True, exist_ok=True)
                np.save(out / "tones.npy", self.sample.fake.numpy(), allow_pickle=False)
                return [out / "tones.npy"]


        class ToneTools:
            groups = {"metrics": "tones"}
            measured = ("wave",)

            def metrics(self, datamodule, nodes, recognizer):
                def loudest():
                    return float(clips_of(datamodule, "train").wave.square().mean(dim=1).max())

                return build_metrics(nodes, Provided(datamodule.info, {"loudest": loudest}))

            def measurement(self, datamodule, nodes, recognizer, samples):
                metrics = self.metrics(datamodule, nodes, recognizer)
                asked = [torch.arange(2).repeat(samples)]
                return Measurement(metrics, asked, lambda sample: {"wave": sample.fake}, None)

            def gallery(self, datamodule):
                return None

            def generate(self, model, request, *, seed):
                label = torch.tensor([model.info.label(request.pitch)]).repeat(request.n)
                return GeneratedTones(sample=model.module.generate(label, seed=seed))

            def evaluate(self, task):
                settings = task.settings
                metrics = self.metrics(task.datamodule, settings.metrics, settings.recognizer)
                real = clips_of(task.datamodule, settings.split)
                fake = settings.options.gain * task.model.module.generate(real, seed=settings.seed).fake
                measuring, rows = Measuring(metrics), []
                for name, role, wave in (("trained", "model", fake), ("real", "floor", real.wave)):
                    found = measuring.row(name, [{"wave": wave}])
                    rows.append(Row(name, role, f"{name} tones.", len(wave), found.values, absent=found.absent))
                table = Table("Tones", rows, [metric_column(n, m) for n, m in metrics.items()])
                caveats = {name: metric.caveat for name, metric in metrics.items()}
                protocol = {"seed": settings.seed, "command": settings.command}
                return Evaluation(task=task, protocol=protocol, tables={"rows": table}, caveats=caveats)

            def card(self, model, name, evaluate):
                return CardText("audio", f"{model.info.length} samples", {}, f"Measure it: {evaluate}")
    """,
    "tones/conf/model/whistle.yaml": """
        # @package _global_
        defaults:
          - override /metrics: tones
          - override /recognizer: null
        model:
          _target_: tones.model.Whistle
          noise: 0.1
          seed: ${seed}
          optimizers:
            table: {_target_: torch.optim.Adam, _partial_: true, lr: 0.1}
    """,
    "tones/conf/metrics/tones.yaml": """
        loudness:
          _target_: tones.metric.Loudness
    """,
    "tones-0.1.dist-info/METADATA": """
        Metadata-Version: 2.1
        Name: tones
        Version: 0.1
    """,
    "tones-0.1.dist-info/entry_points.txt": """
        [mutoscope.kinds]
        tones = tones.kind:KIND
        [mutoscope.datamodules]
        sine_tones = tones.data:SineTones
    """,
}
SHORT = ("trainer=cpu", "trainer.max_steps=30", "trainer.progress=false", "callbacks=none")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package as an installer leaves it."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text).lstrip())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "tones"]:
        del sys.modules[name]
    registry._classes.pop("sine_tones", None)
    importlib.invalidate_caches()


@pytest.fixture(scope="module")
def run(package: Path, compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained whistle, measured while it learned."""
    run_dir = tmp_path_factory.mktemp("runs") / "whistle"
    train(compose("model=whistle", "dataset=sine_tones", "measure.every_n_steps=30", *SHORT), run_dir)
    return run_dir


def test_it_trains_and_is_measured_with_its_own_metric(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (loudness,) = [row["metric/loudness"] for row in rows if "metric/loudness" in row]
    assert 0 < loudness < 3


def test_it_generates(run: Path, compose: Compose, tmp_path: Path) -> None:
    config = compose("checkpoint=x", "pitch=high", "n=2", "accelerator=cpu", verb="generate")
    sample = generate(config | {"checkpoint": str(run), "out": str(tmp_path / "out")})
    written = np.load(tmp_path / "out" / "tones.npy", allow_pickle=False)
    np.testing.assert_array_equal(written, sample.fake.numpy())
    model = ms.load(run, accelerator="cpu")
    assert torch.equal(model.generate(pitch="high", n=2).sample.fake, sample.fake)
    request = kinds.find("tones").request(pitch="high", n=2)
    assert torch.equal(model.generate(request).sample.fake, sample.fake)
    with pytest.raises(ConfigError, match=r"makes tones and needs pitch=<value>; it has no default"):
        model.generate()
    with pytest.raises(ConfigError, match=r"truncation= is for models of skeleton motion, but .* makes tones; its set"):
        model.generate(pitch="low", truncation=0.5)
    with pytest.raises(ConfigError, match=r"n is 'few', expected a whole number. n: tones; 3 by default"):
        model.generate(pitch="low", n="few")


def test_it_evaluates(run: Path, compose: Compose, tmp_path: Path) -> None:
    config = compose("checkpoint=x", "gain=2", "accelerator=cpu", "metrics.loudness.floor=1", verb="evaluate")
    typed = {"metrics": {"loudness": {"floor": 1}}}
    found = evaluate(config | {"checkpoint": str(run), "out": str(tmp_path / "out")}, typed)
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    trained, real = (row["metrics"]["loudness"] for row in content["rows"])
    # pure sines have half the power of the loudest at most
    assert 1 < real < 2 < trained
    assert content["caveats"] == {"loudness": "Power is not beauty."}
    assert protocols_missing(content) == []
    assert "Power is not beauty." in (tmp_path / "out" / "report.html").read_text()
    assert found.protocol["command"] == (
        f"mutoscope evaluate checkpoint={run} metrics.loudness.floor=1 out={tmp_path / 'out'} accelerator=cpu gain=2"
    )
    again = ms.evaluate(run, metrics={"loudness": {"floor": 1}}, gain=2, accelerator="cpu")
    assert again.rows[0].values == found.rows[0].values
    with pytest.raises(ConfigError, match=r"beside= is for models of skeleton motion, but .* makes tones; its set"):
        ms.evaluate(run, beside={"a": run})
    for name, reason in (
        ("Boned", "skeleton, which the data 'sine_tones' do not have"),
        ("Thirsty", "water, which stands neither in its settings nor among what tones data offer: info, skeleton,"),
    ):
        with pytest.raises(ConfigError, match=rf"metrics\.mine asks for {reason}"):
            ms.evaluate(run, metrics={"mine": {"_target_": f"tones.metric.{name}"}})


def test_it_is_exported_with_a_card(run: Path, tmp_path: Path) -> None:
    folder = ms.load(run).export(tmp_path / "model")
    assert "Measure it: mutoscope evaluate checkpoint=model" in (folder / "README.md").read_text()
    one, other = (ms.load(path, accelerator="cpu").generate(pitch="low").sample.fake for path in (run, folder))
    assert torch.equal(one, other)
    metric = ms.metric("loudness", ms.load(folder).dataset(clips=4))
    assert metric.num_classes == 2


def test_its_settings_are_in_the_help(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, heading, line in (
        ("generate", "== For models of tones ==\npitch=???", "tones; 3 by default"),
        ("evaluate", "== For models of tones ==\ngain=1.0", "of what is generated"),
    ):
        monkeypatch.setattr(sys, "argv", ["mutoscope", verb, "--help"])
        cli.main()
        said = capsys.readouterr().out
        assert heading in said
        assert line in said
    assert "tones" in choices("metrics")


def test_kinds_that_nobody_knows_or_that_clash(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds.names() == sorted({*kind_registry._own(), "tones"})
    with pytest.raises(ConfigError, match=r"There is no kind of data 'tone'; .* Did you mean 'tones'\?"):
        kinds.find("tone")
    mine = kinds.find("motion")
    with pytest.raises(ValueError, match=r"The kind 'motion' is this package's; register a\.b\.C under another name"):
        register(DataKind("motion", "dance", mine.request, mine.options, "a.b.C"))
    # a plug-in registers one by hand
    monkeypatch.setattr(kind_registry, "_registered", {})
    register(DataKind("smells", "smells", mine.request, mine.options, "a.b.C"))
    assert kinds.find("smells").title == "smells"
    with pytest.raises(ValueError, match=r"The kind 'smells' is a\.b\.C's; register x\.Y under another name"):
        register(DataKind("smells", "odours", mine.request, mine.options, "x.Y"))
