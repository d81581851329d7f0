"""``compare``: one table of several evaluations, refused where they were not measured alike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mutoscope.cli.commands import run_command
from mutoscope.kinds.tables import Row, Table, rows_json, write_results
from mutoscope.metrics.protocol import Protocol
from mutoscope.render.page.tables import Column
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.compare import compare

FID = Protocol("fid", 2048, 2048, 1, "e1", "d1", 16, 8.0, 0, preset="standard/fid", resize="TensorFlow 1, 299x299")
PSNR = Protocol("psnr", 2048, 2048, None, None, "d1", 16, 8.0, 0)


def evaluation(folder: Path, fid: float | None, psnr: float, **changes: Any) -> Path:
    """Files as an evaluation writes them."""
    row = Row(
        "fake", "model", "Made up.", 2048, {"fid": fid, "psnr": psnr}, absent={} if fid else {"fid": "no network"}
    )
    floor = Row("real", "floor", "Real.", 2048, {"fid": 1.0, "psnr": None})
    columns = [Column("fid", better="lower", digits=3), Column("psnr", better="higher", digits=3)]
    protocols = {"fid": replace(FID, **changes), "psnr": PSNR}
    table = Table("Clips", [row, floor], columns, protocols)
    folder.mkdir(parents=True)
    write_results(folder, [table], {"rows": rows_json(table)})
    return folder


def test_evaluations_measured_alike_stand_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = evaluation(tmp_path / "a", 20.0, 31.0)
    evaluation(tmp_path / "run_b" / "evaluation", 12.5, 30.0, seed=7)
    out = tmp_path / "table.md"
    assert run_command("compare", [str(a / "metrics.json"), str(tmp_path / "run_b"), "--out", str(out)]) == 0
    text = out.read_text()
    assert "| a | run_b |" in text
    # seeds may differ; the best of every metric is marked, whichever way is better
    assert "**12.500**" in text
    assert "**31.000**" in text
    assert "run_b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_fake": 100}, r"n_fake \(2048 and 100\)"),
        ({"extractor": "e2"}, r"extractor \(e1 and e2\)"),
        ({"resize": "bilinear"}, r"resize \(TensorFlow 1, 299x299 and bilinear\)"),
        ({"stride": 8, "frames": 16}, r"frames \(None and 16\), stride \(None and 8\)"),
        ({"ddof": 0, "preset": None}, r"ddof \(1 and 0\), preset \(standard/fid and None\)"),
        ({"dataset": "d2"}, r"dataset \(d1 and d2\)"),
    ],
)
def test_unlike_protocols_are_refused_by_the_field_that_differs(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    a, b = evaluation(tmp_path / "a", 20.0, 31.0), evaluation(tmp_path / "b", 12.5, 30.0, **changes)
    with pytest.raises(ConfigError, match=rf"'fid' of .*cannot be compared: the protocols differ in {named}"):
        compare([a, b])
    # what was measured alike still can be
    assert [row.values for row in compare([a, b], ["psnr"]).rows] == [{"psnr": 31.0}, {"psnr": 30.0}]


def test_an_absent_value_is_compared_with_nothing(tmp_path: Path) -> None:
    a, b = evaluation(tmp_path / "a", None, 31.0), evaluation(tmp_path / "b", 12.5, 30.0, n_real=3)
    table = compare([a, b])
    assert table.rows[0].values["fid"] is None
    assert table.rows[0].absent["fid"] == "no network"


def test_what_is_no_evaluation_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = evaluation(tmp_path / "a", 20.0, 31.0)
    with pytest.raises(ConfigError, match="two evaluations or more"):
        compare([a])
    with pytest.raises(ConfigError, match=r"no metrics\.json in .*nothing"):
        compare([a, tmp_path / "nothing"])
    for content in ("", "[]", '{"rows": []}', '{"rows": [], "protocols": {}}'):
        (tmp_path / "odd.json").write_text(content)
        with pytest.raises(ConfigError, match=r"odd\.json (is no metrics\.json|has no row)"):
            compare([a, tmp_path / "odd.json"])
    edited = json.loads((a / "metrics.json").read_text())
    next(iter(edited["protocols"].values()))["n_fake"] = 5
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    with pytest.raises(ConfigError, match=r"edited\.json was edited"):
        compare([a, tmp_path / "edited.json"])
    with pytest.raises(ConfigError, match="'fvd' is not in all of them; these are: fid, psnr"):
        compare([a, evaluation(tmp_path / "b", 1.0, 2.0)], ["fvd"])
    assert run_command("compare", [str(a)]) == 1
    assert "two evaluations" in capsys.readouterr().err
