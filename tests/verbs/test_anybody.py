"""``evaluate real=... fake=...``: anybody's clips, in every form, and what is said of those that cannot be measured."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stored import protocols_missing
from tiny_extractors import clips_extractor, frames_extractor

import mutoscope as ms
from mutoscope.config.measures import ClipSettings
from mutoscope.data.anybody import Cut, Reader, find_clips
from mutoscope.data.clip_labels import labelled_sides
from mutoscope.evaluators import distances
from mutoscope.formats.video import write_mp4
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.anybody.measure import evaluate_sets
from mutoscope.verbs.anybody.results import SetEvaluation

Evaluate = Callable[..., SetEvaluation]


def clip(seed: int, t: int = 12, side: int = 48, grey: bool = False) -> np.ndarray:
    """A texture that moves to the right, every clip at its own pace; as generated, darker and noisy."""
    rng = np.random.default_rng(seed)
    base = np.kron(rng.integers(0, 255, (6, 6, 3)), np.ones((side // 6, side // 6, 1)))
    moving = np.stack([np.roll(base, i * (seed % 3 + 1), axis=1) for i in range(t)])
    if grey:
        moving = moving * 0.6 + rng.integers(0, 50, moving.shape)
    return moving.clip(0, 255).astype(np.uint8)


def videos(folder: Path, count: int, *, seed: int = 0, fps: float = 8.0, **how: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_mp4(folder / f"clip{i:03d}.mp4", clip(seed + i, **how), fps)
    return folder


@pytest.fixture
def evaluate(compose: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    monkeypatch.setenv("MUTOSCOPE_CACHE", str(tmp_path / "cache"))
    frames, clips = frames_extractor(), {}
    monkeypatch.setattr(distances, "inception_extractor", lambda **a: frames)

    def shared(**a: Any) -> Any:
        return clips.setdefault((a["frames"], a["stride"]), clips_extractor(**a))

    monkeypatch.setattr(distances, "i3d_extractor", shared)

    def run(real: Path, fake: Path, *typed: str) -> SetEvaluation:
        words = [f"real={real}", f"fake={fake}", f"out={tmp_path / 'out'}", "metrics=clips", *typed]
        config = compose(*words, verb="evaluate")
        return evaluate_sets(config, {"metrics": {"": "clips"}})

    return run


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos(tmp_path_factory.mktemp("any") / "real", 14)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos(tmp_path_factory.mktemp("any") / "fake", 9, seed=50, grey=True)


FEW = ("metrics.fvd.frames=9", "metrics.kvd.frames=9")


def test_videos_are_measured_with_floors_and_foils(evaluate: Evaluate, real: Path, fake: Path, tmp_path: Path) -> None:
    found = evaluate(real, fake, *FEW, "clips.curve=true")
    (row,) = found.rows
    assert row.values["fid"] is not None
    assert row.values["kvd"] is not None
    assert row.intervals["kvd"][0] < row.values["kvd"] < row.intervals["kvd"][1]
    # other names, so there are no pairs; and no AlexNet here
    assert "different names" in row.absent["psnr"]
    assert "weights fetch alexnet" in row.absent["lpips"]
    rows = {one.name: one.values for one in found.tables["foils"].rows}
    assert rows["real (floor)"]["fid"] < rows["fake"]["fid"]
    assert rows["frozen first frame"]["fvd"] > rows["real (floor)"]["fvd"]
    assert rows["frozen first frame"]["warping_error"] == 0
    # frames are a set to metrics of frames: disorder is nothing to them, and something to those of clips
    assert rows["shuffled frames"]["fid"] == pytest.approx(rows["real (floor)"]["fid"], rel=1e-9)
    assert rows["shuffled frames"]["fvd"] > rows["real (floor)"]["fvd"]
    assert rows["half of the modes"]["nearest_real"] > 0
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    protocol = written["protocols"][written["rows"][0]["protocols"]["fvd"]]
    assert protocol["preset"] == "standard/fvd_16f with frames=9"
    assert (protocol["n_real"], protocol["n_fake"], protocol["ddof"]) == (14, 9, 0)
    assert (protocol["frames"], protocol["stride"], protocol["extractor"]) == (9, 1, "tiny-clips")
    assert protocol["quantisation"].startswith("uint8")
    assert written["rows"][0]["intervals"]["kvd"]
    assert "torch" in written["versions"]
    assert protocols_missing(written) == []
    assert "dropped frames" in rows
    limits = next(one for one in found.tables["counts"].rows if one.name == "extrapolated")
    assert limits.values["fid"] < found.tables["counts"].rows[0].values["fid"]
    assert "95 % intervals of fake: kid" in (tmp_path / "out" / "table.md").read_text()
    for name in ("table.csv", "table.md", "table.tex", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_python_measures_what_the_command_line_does(evaluate: Evaluate, real: Path, fake: Path, tmp_path: Path) -> None:
    typed = evaluate(real, fake, *FEW, "clips.foils=0", "clips.length=10")
    found = ms.evaluate_clips(
        real, fake, metrics=["standard/fid", "standard/ssim"], clips=ClipSettings(foils=0, length=10), accelerator="cpu"
    )
    assert found.rows[0].values["fid"] == pytest.approx(typed.rows[0].values["fid"], rel=1e-9)
    assert set(found.rows[0].values) == {"fid", "ssim", "nearest_real"}
    assert "clips.foils=0" in typed.protocol["command"]
    assert "clips.length=10" in typed.protocol["command"]
    with pytest.raises(ConfigError, match="did you mean 'standard/fid'"):
        ms.evaluate_clips(real, fake, metrics=["standard/fidd"])
    config = {"real": str(real), "fake": str(fake), "seed": 0, "clips": {"length": "long"}}
    with pytest.raises(ConfigError, match=r"clips\.length is 'long'"):
        evaluate_sets(config)


def test_values_are_those_of_metrics_fed_by_hand(evaluate: Evaluate, real: Path, fake: Path) -> None:
    """One pass over files in batches, through shared networks, changes nothing."""
    row = evaluate(real, fake, *FEW, "clips.foils=0").rows[0]
    metric = distances.FVD(frames=9, stride=1)
    for side, folder in (("real", real), ("fake", fake)):
        for _, frames in Reader(Cut()).read(find_clips(folder), side):
            metric.update(**{f"{side}_frames": frames[None]})
    assert row.values["fvd"] == pytest.approx(float(metric.compute()), rel=1e-6)


def test_features_of_real_clips_are_kept_and_found_again(
    evaluate: Evaluate, real: Path, fake: Path, tmp_path: Path
) -> None:
    first = evaluate(real, fake, *FEW, "clips.foils=0").rows[0].values
    kept = list((tmp_path / "cache" / "features").glob("*.safetensors"))
    assert len(kept) == 2
    second = evaluate(real, fake, *FEW, "clips.foils=0").rows[0].values
    assert {k: v for k, v in first.items() if v is not None} == pytest.approx(
        {k: v for k, v in second.items() if v is not None}, rel=1e-9
    )
    # other real clips, other features
    (real / "clip000.mp4").touch()
    evaluate(real, fake, *FEW, "clips.foils=0")
    assert len(list((tmp_path / "cache" / "features").glob("*.safetensors"))) == 4


def test_pairs_are_compared_by_name(evaluate: Evaluate, real: Path, tmp_path: Path) -> None:
    other = videos(tmp_path / "other", 14, grey=True)
    values = evaluate(real, other, *FEW, "clips.foils=4").rows[0].values
    assert 5 < values["psnr"] < 40
    assert 0 < values["ssim"] < 1
    again = evaluate(real, real, *FEW, "clips.foils=0").rows[0].values
    assert again["psnr"] == 100
    assert again["fid"] == pytest.approx(0, abs=1e-6)
    assert again["nearest_real"] == 0


def as_frames(folder: Path, clips: list[np.ndarray]) -> Path:
    for i, frames in enumerate(clips):
        (folder / f"clip{i}").mkdir(parents=True)
        for j, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"clip{i}" / f"{j + 1}.png")
    return folder


def test_frames_and_arrays_are_the_same_clips(evaluate: Evaluate, tmp_path: Path) -> None:
    sides = {"real": [clip(i) for i in range(6)], "fake": [clip(30 + i, grey=True) for i in range(5)]}
    found = []
    for form in ("frames", "npy", "npz"):
        paths = []
        for side, clips in sides.items():
            if form == "frames":
                paths.append(as_frames(tmp_path / f"{side}_frames", clips))
            else:
                paths.append(tmp_path / f"{side}.{form}")
                np.save(paths[-1], np.stack(clips)) if form == "npy" else np.savez(paths[-1], frames=np.stack(clips))
        found.append(evaluate(*paths, *FEW, "clips.foils=0").rows[0].values["fid"])
    assert found[0] == pytest.approx(found[1], rel=1e-9) == pytest.approx(found[2], rel=1e-9)


def test_folders_and_tables_name_classes(tmp_path: Path) -> None:
    for name in ("run", "walk"):
        videos(tmp_path / "set" / name, 2, t=3)
    found = find_clips(tmp_path / "set")
    assert found.classes == ("run", "walk")
    assert [one.name for one in found.clips] == ["run/clip000", "run/clip001", "walk/clip000", "walk/clip001"]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "label"), *((one.name, "jump") for one in found.clips)])
    sides = labelled_sides(tmp_path / "set", tmp_path / "set", tmp_path / "labels.csv")
    assert [side.classes for side in sides] == [("jump",)] * 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_tables_come_from_spreadsheets(tmp_path: Path, encoding: str) -> None:
    for name in ("run", "walk"):
        videos(tmp_path / "set" / name, 1, t=3)
    videos(tmp_path / "set" / "walk", 2, t=3)
    lines = ["name;label", "run\\clip000.mp4;läuft", '"walk/clip000";geht', "./clip001.mp4;geht", ";"]
    (tmp_path / "labels.csv").write_bytes("\r\n".join(lines).encode(encoding))
    sides = labelled_sides(tmp_path / "set", tmp_path / "set", tmp_path / "labels.csv")
    assert {clip.name: clip.label for clip in sides[0].clips} == {
        "run/clip000": "läuft",
        "walk/clip000": "geht",
        "walk/clip001": "geht",
    }


def test_what_a_table_of_classes_lacks_is_a_sentence(tmp_path: Path) -> None:
    for name in ("run", "walk"):
        videos(tmp_path / "set" / name, 2, t=3)
    whole = "".join(f"{name}/clip00{i},{name}\n" for name in ("run", "walk") for i in range(2))

    def refused(text: str | bytes, sentence: str) -> None:
        table = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "labels.csv").write_bytes(table)
        with pytest.raises(ValueError, match=rf"labels\.csv.*{sentence}"):
            labelled_sides(tmp_path / "set", tmp_path / "set", tmp_path / "labels.csv")

    refused("name,label\nrun/clip000,jump\n", r"no label for 'run/clip001' \(3 of 4 clips of .*set\)\.")
    refused("name,label\nclip000,jump\nclip001,jump\n", "several clips are called 'clip000', name them with")
    refused(f"name,label\n{whole}run/clip9,run\n", r"line 6: it names 'run/clip9' \(1 of 5 names\)")
    refused(f"name,label\n{whole}run/clip000,walk\n", "line 6: it calls 'run/clip000' walk, and run in line 2")
    refused(f"name,label\n{whole}run/clip000,\n", "line 6: the cell of the column label is empty")
    refused(f"file,label\n{whole}", "it has no column name")
    refused("name,label\n", "no line below the names of its columns")
    refused(f"name,label\n{whole}".replace("walk\n", "läuft\n").encode("latin-1"), "iconv -f WINDOWS-1252")


def test_classes_have_numbers_of_their_own_and_shuffled_ones(evaluate: Evaluate, tmp_path: Path) -> None:
    """Each class has a brightness of its own, which generated clips share."""

    def side(name: str, seed: int, swapped: bool = False) -> Path:
        for k, label in enumerate(("dark", "light")):
            (tmp_path / name / label).mkdir(parents=True)
            for i in range(6):
                level = 90 * (1 - k if swapped else k)
                frames = np.clip(clip(seed + 10 * k + i).astype(int) // 2 + level, 0, 255).astype(np.uint8)
                np.save(tmp_path / name / label / f"{i}.npy", frames)
        return tmp_path / name

    real = side("real", 0)
    rows = {row.name: row for row in evaluate(real, side("fake", 40), *FEW, "clips.foils=0").tables["classes"].rows}
    assert list(rows) == ["mean over classes", "shuffled labels", "dark", "light"]
    assert rows["mean over classes"].values["kvd"] == pytest.approx(
        (rows["dark"].values["kvd"] + rows["light"].values["kvd"]) / 2
    )
    assert rows["shuffled labels"].values["kvd"] > 2 * abs(rows["mean over classes"].values["kvd"])
    swapped = {
        row.name: row.values
        for row in evaluate(real, side("other", 40, True), *FEW, "clips.foils=0").tables["classes"].rows
    }
    assert swapped["mean over classes"]["kvd"] > swapped["shuffled labels"]["kvd"]
    other = videos(tmp_path / "plain" / "jump", 4).parent
    assert "classes" not in evaluate(real, other, *FEW, "clips.foils=0").tables


def test_settings_of_models_are_not_taken_for_settings_of_clips(evaluate: Evaluate, real: Path, fake: Path) -> None:
    for words, name in (
        ("samples_per_class=3", "samples_per_class"),
        ("seeds=[1,2]", "seeds"),
        ("split=test", "split"),
    ):
        with pytest.raises(ConfigError, match=f"{name} is a setting of models that are measured"):
            evaluate(real, fake, words)
    with pytest.raises(ConfigError, match=r"clips: foils is -1, expected 0 or more"):
        evaluate(real, fake, "clips.foils=-1")


def test_what_cannot_be_measured_is_a_sentence(evaluate: Evaluate, real: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"There are no clips in .*empty; expected videos"):
        evaluate(real, tmp_path / "empty")
    with pytest.raises(ConfigError, match="There is no folder or file"):
        evaluate(real, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"There is 1 clip in .*one; at least 2"):
        evaluate(real, videos(tmp_path / "one", 1))
    with pytest.raises(ConfigError, match=r"frames of \[3, 24, 24\], .*of \[3, 48, 48\].*Set clips\.size="):
        evaluate(real, videos(tmp_path / "small", 3, side=24))
    with pytest.raises(ConfigError, match=r"has 10 frames, .*clip000\.mp4 has 12; set clips\.length=10"):
        evaluate(real, videos(tmp_path / "short", 3, t=10))
    with pytest.raises(ConfigError, match=r"4 frames a second, .* has 8: .*Set clips\.fps=4"):
        evaluate(real, videos(tmp_path / "slow", 3, fps=4))
    with pytest.raises(ConfigError, match=r"14 of 14 clips .*clips\.length=20 needs more.*and 11 more"):
        evaluate(real, videos(tmp_path / "brief", 3), "clips.length=20")
    np.save(tmp_path / "motion.npy", np.zeros((4, 9, 5, 3), np.float32))
    with pytest.raises(ConfigError, match=r"holds videos and .* motions; they cannot be compared"):
        evaluate(real, tmp_path / "motion.npy")
    np.save(tmp_path / "odd.npy", np.zeros((4, 9), np.int32))
    with pytest.raises(ValueError, match=r"odd\.npy: it is int32 \[4, 9\]; expected videos as uint8"):
        evaluate(real, tmp_path / "odd.npy")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"pickled\.npy: it cannot be read as an array"):
        evaluate(real, tmp_path / "pickled.npy")
    with pytest.raises(ConfigError, match=r"clips\.len is not a setting of ClipSettings"):
        evaluate_sets({"real": str(real), "fake": str(real), "clips": {"len": 3}, "seed": 0})


def test_one_corrupt_file_among_many_is_named(evaluate: Evaluate, real: Path, tmp_path: Path) -> None:
    many = videos(tmp_path / "many", 6, t=12)
    broken = many / "clip003.mp4"
    broken.write_bytes(broken.read_bytes()[:700])
    with pytest.raises(
        ConfigError, match=r"1 of 6 clips of .*many cannot be measured: .*clip003\.mp4.*skip_broken=true"
    ):
        evaluate(real, many)
    assert not (tmp_path / "out" / "metrics.json").exists()
    found = evaluate(real, many, *FEW, "clips.skip_broken=true", "clips.foils=0")
    assert found.rows[0].count == 5
    assert "clip003" in json.loads((tmp_path / "out" / "metrics.json").read_text())["protocol"]["left_out"][0]


def test_sizes_and_rates_are_made_alike_when_asked(evaluate: Evaluate, real: Path, tmp_path: Path) -> None:
    other = videos(tmp_path / "other", 4, side=96, fps=16, t=24)
    found = evaluate(real, other, *FEW, "clips.size=48", "clips.fps=8", "clips.length=12", "clips.foils=0")
    assert found.rows[0].values["fid"] is not None
    assert found.protocol["resized"].startswith("bilinear")
    frames = next(iter(Reader(Cut(length=3, fps=8.0)).read(find_clips(other), "x")))[1]
    whole = next(iter(Reader(Cut()).read(find_clips(other), "x")))[1]
    assert (frames == whole[[0, 2, 4]]).all()


# --- motions ----------------------------------------------------------------------------------------------------------


def walks(path: Path, count: int, seed: int, jitter: float = 0.0) -> Path:
    rng = np.random.default_rng(seed)
    pose = np.random.default_rng(5).normal(size=(1, 1, 25, 3))
    steps = np.cumsum(rng.normal(size=(count, 10, 1, 3)) * 0.1 + 0.05, axis=1)
    np.save(path, (pose + steps + jitter * rng.normal(size=(count, 10, 25, 3))).astype(np.float32))
    return path


def motions(compose: Callable[..., dict[str, Any]], real: Path, fake: Path, out: Path, *typed: str) -> SetEvaluation:
    config = compose(f"real={real}", f"fake={fake}", f"out={out}", "metrics=motions", *typed, verb="evaluate")
    return evaluate_sets(config, {"metrics": {"": "motions"}})


def test_motions_are_measured(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    real = walks(tmp_path / "real.npy", 20, 0)
    near, far = walks(tmp_path / "near.npy", 12, 1), walks(tmp_path / "far.npy", 12, 2, jitter=0.3)
    found = [
        motions(compose, real, path, tmp_path / "out", "clips.skeleton=ntu25").rows[0].values for path in (near, far)
    ]
    assert found[0]["mmd"] < found[1]["mmd"]
    assert found[0]["bone_drift"] == pytest.approx(0, abs=1e-4)
    assert found[1]["bone_drift"] > 0.05
    without = motions(compose, real, near, tmp_path / "out")
    assert "clips.skeleton=ntu25" in without.rows[0].absent["bone_drift"]
    rows = {row.name: row.values for row in without.tables["foils"].rows}
    assert rows["frozen first frame"]["mmd"] > rows["real (floor)"]["mmd"]
    assert {"fake", "shuffled labels", "reversed", "frozen random pose"} <= set(rows)
    with pytest.raises(ConfigError, match="h36m16 has 16 joints, the motions have 25"):
        motions(compose, real, near, tmp_path / "out", "clips.skeleton=h36m16")
    values = np.load(near)
    values[3, 2] = np.nan
    np.save(near, values)
    with pytest.raises(ConfigError, match=r"1 of 12 clips .*near\.npy: clip 3 holds NaN or infinities"):
        motions(compose, real, near, tmp_path / "out")
