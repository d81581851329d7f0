"""The bar, and what is said of processors without bfloat16."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from mutoscope.runtime.console import say
from mutoscope.training import trainer as module
from mutoscope.training.loggers import FileLogger, read_metrics
from mutoscope.training.trainer import IterationBar, cpu_has_bf16, fitting
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]
NUMBERS = {"critic": -12.34, "generator": 0.5678, "penalty": 0.00012, "frames": 1.0, "layouts": 2.0}


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("n", [0, 9_990, 11_000])
def test_numbers_leave_the_bar_its_place(columns: int, n: int) -> None:
    bar = tqdm(total=11_000, ncols=columns, file=io.StringIO(), desc="Training", bar_format=IterationBar.BAR_FORMAT)
    bar.n, bar.start_t = n, bar.start_t - 600
    shown = fitting(NUMBERS, bar)
    bar.set_postfix(shown, refresh=False)
    line = str(bar)
    drawn = line.partition("|")[2].partition("|")[0]
    assert len(line.rstrip()) <= columns
    assert len(drawn) >= 8 or not shown
    assert list(shown) == list(NUMBERS)[: len(shown)]
    assert (len(shown) == 5) if columns == 200 else len(shown) < 5
    bar.close()


def test_a_log_shows_all_numbers() -> None:
    bar = tqdm(total=10, file=io.StringIO(), bar_format=IterationBar.BAR_FORMAT)
    assert fitting(NUMBERS, bar) == NUMBERS
    bar.close()


def test_a_resumed_bar_has_its_total_and_the_rate_of_its_process(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[dict[str, Any]] = []

    class Watched(IterationBar):
        def on_train_start(self, *args: Any) -> None:
            super().on_train_start(*args)
            bars.append(self.train_progress_bar.format_dict)

        def on_train_end(self, *args: Any) -> None:
            bars.append(self.train_progress_bar.format_dict)
            super().on_train_end(*args)

    train(tiny("trainer.max_steps=4"), tmp_path)
    monkeypatch.setattr(module, "IterationBar", Watched)
    train(tiny("trainer.max_steps=6", "ckpt=last", "trainer.progress=true"), tmp_path)
    start, end = bars
    assert (start["n"], start["initial"], start["total"]) == (4, 4, 6)
    assert (end["n"], end["initial"], end["total"]) == (6, 4, 6)


def test_messages_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    bar = tqdm(total=10, file=sys.stdout, ncols=60)
    say("a message")
    bar.close()
    lines = capsys.readouterr().out.replace("\r", "\n").split("\n")
    assert "a message" in [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("flags : fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("nothing of the kind\n", None),
    ],
)
def test_a_processor_says_whether_it_has_bf16(tmp_path: Path, text: str, has: bool | None) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_has_bf16(tmp_path / "cpuinfo") is has
    assert cpu_has_bf16(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("precision", "has", "told"), [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("32-true", False, False)]
)
def test_slow_precision_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    precision: Any,
    has: bool,
    told: bool,
) -> None:
    monkeypatch.setattr(module, "cpu_has_bf16", lambda: has)
    module.make_trainer(
        max_steps=1,
        callbacks=[],
        loggers=[],
        run_dir=str(tmp_path),
        accelerator="cpu",
        precision=precision,
        progress=False,
    )
    assert ("about ten times slower than trainer.precision=32-true" in capsys.readouterr().out) is told


def test_notes_stand_among_the_numbers(tmp_path: Path) -> None:
    logger = FileLogger(tmp_path)
    logger.log_note("no metric", step=2)
    logger.log_metrics({"loss/x": 1.0}, step=3)
    logger.finalize("success")
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 2, "note": "no metric"}, {"step": 3, "loss/x": 1.0}]
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["step,note,loss/x", "2,no metric,", "3,,1.0"]
