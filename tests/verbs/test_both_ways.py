"""Evaluating a model of motion, or its clips as files: one code, one protocol, one number."""

import json
from pathlib import Path

from both_ways import Compose, alike, folder

from mutoscope.cli.typed import typed_values
from mutoscope.kinds.motion.baselines import real_clips
from mutoscope.structures import MotionBatch
from mutoscope.verbs.anybody.measure import evaluate_sets
from mutoscope.verbs.evaluate import evaluate


def test_presets_are_those_of_the_same_clips_as_files(compose: Compose, trained: Path, tmp_path: Path) -> None:
    words = ["checkpoint=x", "metrics=none", "+metrics.mmd=standard/mmd", "recognizer=none", "samples_per_class=4"]
    config = compose(*words, f"out={tmp_path / 'model'}", "accelerator=cpu", verb="evaluate")
    config |= {"checkpoint": str(trained / "checkpoints" / "last.ckpt")}
    explicit = {"metrics": {**typed_values(words, "metrics"), "": "none"}, "recognizer": {"": "none"}}
    found = evaluate(config, explicit)
    datamodule, info = found.task.datamodule, found.task.info
    real = real_clips(datamodule, "val", 4 * info.num_classes, "train", 1234)

    def as_files(name: str, clips: MotionBatch) -> Path:
        return folder(tmp_path / name, clips.joints, [info.classes[k] for k in clips.label.tolist()])

    made = MotionBatch(found.fake, found.real.label, found.real.mask)  # type: ignore[attr-defined]
    sides = as_files("real", real.reference), as_files("fake", made)
    words = [f"real={sides[0]}", f"fake={sides[1]}", f"clips.fps={info.fps}", "clips.foils=0", "metrics=none"]
    words += ["+metrics.mmd=standard/mmd"]
    config = compose(*words, f"out={tmp_path / 'files'}", verb="evaluate")
    evaluate_sets(config, {"metrics": {**typed_values(words, "metrics"), "": "none"}})
    of_model, of_files = (json.loads((tmp_path / way / "metrics.json").read_text()) for way in ("model", "files"))
    (ours,) = (row for row in of_model["rows"] if row["name"] == "trained")
    alike(ours, of_files["rows"][0], {"mmd"})
