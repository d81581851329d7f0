"""The built wheel, unpacked far from the checkout, trains."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import ROOT

pytest.importorskip("hatchling", reason="building the wheel needs hatchling: pip install 'mutoscope[dev]'")


TRAIN = """
import sys
import mutoscope.cli.main
assert {unpacked!r} in mutoscope.cli.main.__file__
heavy = {{"wandb", "lpips"}}
assert not heavy & set(sys.modules)
mutoscope.cli.main.main()
assert "torch" in sys.modules
assert not heavy & set(sys.modules), "training with logger=csv imports " + ", ".join(heavy & set(sys.modules))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_code_and_configs_and_nothing_else(unpacked: Path) -> None:
    configs = {p.relative_to(ROOT / "conf") for p in (ROOT / "conf").rglob("*.yaml")} - {Path("local/default.yaml")}
    packed = {p.relative_to(unpacked / "mutoscope" / "conf") for p in (unpacked / "mutoscope" / "conf").rglob("*.yaml")}
    assert packed >= configs
    assert {p.name for p in unpacked.iterdir() if p.suffix != ".dist-info"} == {"mutoscope"}
    assert not list(unpacked.rglob("*.ckpt"))
    pages = {p.relative_to(ROOT / "src") for end in ("html", "css", "js") for p in (ROOT / "src").rglob(f"*.{end}")}
    assert len(pages) > 5
    assert all((unpacked / page).is_file() for page in pages)
    (entry_points,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "mutoscope = mutoscope.cli.entry:main" in entry_points.read_text()


@pytest.mark.slow
def test_the_wheel_trains_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    overrides = [
        "trainer=cpu",
        "trainer.max_steps=2",
        "trainer.threads=1",
        "trainer.progress=false",
        "model.widths=[16,16,8,8,8]",
        "model.latent=16",
        "dataset.clips_per_class=2",
        "dataset.val_clips_per_class=1",
        "dataset.batch_size=4",
        "metrics=none",
        "callbacks=none",
        "logger=csv",
    ]
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "MUTOSCOPE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN.format(unpacked=str(unpacked)), "train", *overrides],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (run_dir,) = (tmp_path / "outputs" / "kinetic_gan_toy_motion").iterdir()
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()
