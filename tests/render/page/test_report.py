import base64
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.render.page.tables import Column
from mutoscope.structures import H36M16, DatasetInfo

INFO = DatasetInfo("hand_made", "motion", ("walk", "wave"), 10.0, 8, 3, H36M16)
VOID = {"meta", "wbr", "input", "img", "br"}


class Page(HTMLParser):
    """Collects tags, attributes and texts; fails where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data) -> None:
        self.texts.append((self.stack[-1] if self.stack else "", data))

    def text_of(self, tag: str) -> list[str]:
        return [text for own, text in self.texts if own == tag]

    def data(self) -> dict:
        """The JSON of the first player."""
        at = next(i for i, (tag, a) in enumerate(self.tags) if tag == "script" and a.get("type") == "application/json")
        scripts = [attributes for tag, attributes in self.tags[: at + 1] if tag == "script"]
        return json.loads(self.text_of("script")[len(scripts) - 1])


def full_report(walk) -> Report:
    report = Report("A run", "First part.\n\nSecond part.")
    report.add_facts({"Seed": 7, "Seconds": 12.3456, "Parameters": 1234567, "Device": "cpu"})
    report.add_text("Text", "One.\n\nTwo.")
    report.add_table(
        "Table", [{"model": "a", "fid": 1.5}, {"model": "b", "fid": 2.5}], [Column("model"), Column("fid")]
    )
    losses = [{"step": i, "loss": 1 / (i + 1), "other": 2.0} for i in range(20)]
    report.add_curves(
        "Curves", losses, [Chart("Loss", ("loss",)), Chart("Other", ("other",)), Chart("Loss", ("loss",))]
    )
    report.add_curves("One", losses[:1], [Chart("Loss", ("loss",))])
    report.add_image("Picture", np.zeros((4, 5, 3), np.uint8))
    clips = np.stack([walk(8), walk(8, travel=1.0)])
    report.add_motion("Motion", clips, [0, 1], INFO, clips + 0.01)
    report.add_details("Configuration", "a:\n  b: 1")
    return report


def test_the_page_nests_names_its_sections_and_needs_nothing_from_outside(walk, tmp_path: Path) -> None:
    path = full_report(walk).write(tmp_path / "deep" / "report.html")
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert page.text_of("h2") == ["Text", "Table", "Curves", "One", "Picture", "Motion", "Configuration"]
    assert {attributes.get("lang") for tag, attributes in page.tags if tag == "html"} == {"en"}
    assert re.search(r"https?:|//[a-z]+\.|@import|url\(", html) is None
    for _, attributes in page.tags:
        for name in ("src", "href", "data", "action", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert {link[1:] for link in links} <= set(ids)
    assert len(ids) == len(set(ids))
    assert "1,234,567" in page.text_of("dd")
    assert "12.35" in page.text_of("dd")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


EVIL = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">&amp;"


def test_no_text_from_outside_becomes_markup(walk) -> None:
    info = DatasetInfo(EVIL + "name", "motion", (EVIL, "wave"), 10.0, 8, 3, H36M16)
    report = Report(EVIL, EVIL)
    report.add_facts({EVIL: EVIL})
    report.add_text(EVIL, EVIL)
    report.add_details(EVIL, EVIL)
    report.add_table(
        EVIL, [{EVIL: EVIL, "n": 1}, {EVIL: 3, "n": EVIL}], [Column(EVIL, EVIL, EVIL), Column("n")],
        note=EVIL, command=EVIL,
    )  # fmt: skip
    report.add_curves(EVIL, [{EVIL: 1, "x": 2}], [Chart(EVIL, (EVIL,), EVIL)], x="x", note=EVIL)
    report.add_curves(EVIL, [{EVIL: 1, "y": 2}], [Chart("t", ("y",))], x=EVIL)
    report.add_image(EVIL, np.zeros((2, 2, 3), np.uint8), note=EVIL, alt=EVIL)
    report.add_motion(EVIL, walk(3)[None], [0], info, note=EVIL)
    page = Page(report.html())
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert [a["src"][:10] for tag, a in page.tags if tag == "img"] == ["data:image"]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text_of("h1") == [EVIL]
    assert page.text_of("figcaption") == [EVIL]


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e-3])
def test_the_player_holds_every_coordinate(walk, scale: float) -> None:
    fake = scale * np.stack([walk(8), walk(8, travel=1.0), walk(8, phase=1.0)])
    real = fake[:, :, ::-1] * 0.5
    report = Report("motion")
    report.add_motion("Motion", torch.from_numpy(fake), [1, 0, 1], INFO, real, per_class=2)
    page = Page(report.html())
    data = page.data()
    assert [(c["label"], c["source"]) for c in data["clips"]] == [
        (0, "real"), (0, "generated"), (1, "real"), (1, "generated"), (1, "real"), (1, "generated"),
    ]  # fmt: skip
    expected = [real[1], fake[1], real[0], fake[0], real[2], fake[2]]
    for clip, joints in zip(data["clips"], expected, strict=True):
        counts = np.frombuffer(base64.b64decode(clip["data"]), "<i2").reshape(clip["frames"], data["joints"], 3)
        assert clip["step"] <= 2e-4 * scale
        np.testing.assert_allclose(counts * clip["step"], joints, atol=0.501 * clip["step"])
    assert [a["data-clip"] for tag, a in page.tags if tag == "canvas"] == [str(i) for i in range(6)]
    assert data["fps"] == 10
    assert [tuple(bone[:2]) for bone in data["bones"]] == list(H36M16.bones)
    assert {side for _, q, side in data["bones"] if H36M16.joints[q].startswith("left")} == {"left"}
    assert data["head"] == H36M16.index("head")
    assert page.text_of("figcaption") == ["walk", "wave"]


def test_flat_clips_keep_two_coordinates(walk) -> None:
    info = DatasetInfo("flat", "motion", ("walk",), 10.0, 8, 2, H36M16)
    report = Report("motion")
    clip = walk(8)[None, ..., :2]
    report.add_motion("Motion", clip, [0], info)
    data = Page(report.html()).data()
    counts = np.frombuffer(base64.b64decode(data["clips"][0]["data"]), "<i2").reshape(8, 16, 2)
    np.testing.assert_allclose(counts * data["clips"][0]["step"], clip[0], atol=1e-4)


def test_motion_of_wrong_shape_or_not_finite_is_refused(walk) -> None:
    clip = walk(4)[None]
    with pytest.raises(ValueError, match=r"expected \[n, t, 16, 3\]"):
        Report("r").add_motion("m", clip[0], [0], INFO)
    with pytest.raises(ValueError, match="not finite"):
        Report("r").add_motion("m", np.full_like(clip, np.nan), [0], INFO)
    with pytest.raises(ValueError, match="Label 2"):
        Report("r").add_motion("m", clip, [2], INFO)


def table_rows(report: Report) -> list[list[str]]:
    html = report.html()
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    cells = [re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]
    return [[text + ("*" if "best" in attributes else "") for attributes, text in row] for row in cells]


def test_tables_are_sorted_aligned_and_mark_the_best_contestant() -> None:
    rows = [
        {"model": "ours", "fid": (12.5, 0.25), "accuracy": 0.9, "n": 2048},
        {"model": "real", "fid": (3.0, 0.125), "accuracy": 0.99, "n": 2048},
        {"model": "broken", "fid": float("nan"), "n": 3},
        {"model": "theirs", "fid": (110.75, 2.0), "accuracy": 0.925, "n": None},
    ]
    columns = [
        Column("model", "Model"),
        Column("fid", better="lower"),
        Column("accuracy", better="higher"),
        Column("n"),
    ]
    report = Report("r")
    report.add_table("t", rows, columns, sort_by="fid", reference=["real"])
    assert table_rows(report) == [
        ["real", "3.0 ± 0.1", "0.990", "2,048"],
        ["ours", "12.5 ± 0.2*", "0.900", "2,048"],
        ["theirs", "110.8 ± 2.0", "0.925*", "–"],
        ["broken", "nan", "–", "3"],
    ]
    assert "lower is better" in report.html()
    report = Report("r")
    report.add_table("t", rows, columns, sort_by="accuracy")
    assert [row[0] for row in table_rows(report)] == ["real", "theirs", "ours", "broken"]


def test_tables_tie_keep_digits_and_show_tiny_numbers() -> None:
    report = Report("r")
    rows = [{"a": 100.0, "b": 1.23456, "c": True}, {"a": 1e-7, "b": 1.23456, "c": False}]
    report.add_table("t", rows, [Column("a"), Column("b", better="higher", digits=3), Column("c")])
    assert table_rows(report) == [["100.0", "1.235*", "True"], ["1.0e-07", "1.235*", "False"]]


def test_a_single_number_is_not_called_best() -> None:
    report = Report("r")
    report.add_table("t", [{"m": "a", "fid": 2.0}, {"m": "b"}], [Column("m"), Column("fid", better="lower")])
    assert table_rows(report) == [["a", "2.0"], ["b", "–"]]


def series(page: Page) -> list[np.ndarray]:
    """``[n, 2]`` pixels of every line that is drawn, x to the right and y downwards."""
    found = []
    for (tag, own), (below, attributes) in pairwise(page.tags):
        if tag == "g" and own.get("class") == "series" and below == "path":
            numbers = re.findall(r"-?[\d.]+", attributes["d"] or "")
            found.append(np.array(numbers, dtype=float).reshape(-1, 2))
    return found


def test_curves_go_through_the_logged_values() -> None:
    rows = [{"step": 10 * i, "loss": float(i * i)} for i in range(5)] + [{"step": 3}, {"epoch": 1, "loss": 5.0}]
    report = Report("r")
    report.add_curves("c", rows, [Chart("Loss", ("loss",), "Lower is better.")])
    page = Page(report.html())
    (points,) = series(page)
    steps, loss = np.arange(5) * 10.0, np.arange(5.0) ** 2
    # Pixels are an affine image of the values, downwards for y.
    np.testing.assert_allclose(np.ptp(points[:, 0]) * (steps / 40), points[:, 0] - points[0, 0], atol=0.11)
    np.testing.assert_allclose(np.ptp(points[:, 1]) * (loss / 16), points[0, 1] - points[:, 1], atol=0.11)
    assert "loss: last 16" in page.text_of("li")
    assert {"0", "10", "20"} <= set(page.text_of("text"))


def test_long_curves_keep_their_peaks_and_drop_what_cannot_be_drawn() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    values[1234] = 90.0
    values[[5, 6]] = np.nan, np.inf
    rows = [{"step": i, "loss": float(v), "other": 1.0} for i, v in enumerate(values)]
    report = Report("r")
    report.add_curves("c", rows, [Chart("Loss", ("loss", "other"))])
    html = report.html()
    noisy, flat = series(Page(html))
    assert len(noisy) < 3000
    assert len(flat) < 10
    assert noisy[:, 1].min() < 20
    assert "2 values that cannot be drawn left out." in html


def test_logarithmic_and_diverged_curves() -> None:
    report = Report("r")
    rows = [{"step": i, "fid": 10.0 ** (3 - i), "gone": float("nan")} for i in range(4)]
    report.add_curves("c", rows, [Chart("FID", ("fid",), log=True), Chart("Gone", ("gone",))])
    page = Page(report.html())
    (points,) = series(page)
    np.testing.assert_allclose(np.diff(points[:, 1]), np.diff(points[:, 1])[0], atol=0.15)
    assert {"1000", "100", "10", "1"} <= set(page.text_of("text"))
    assert "4 values that cannot be drawn left out." in page.text_of("p")


@pytest.mark.parametrize("values", [(2.0, 2.5), (1.0, 30.0), (1e-6, 1e9)])
def test_logarithmic_axes_have_a_few_round_marks(values: tuple[float, float]) -> None:
    report = Report("r")
    report.add_curves("c", [{"step": i, "a": v} for i, v in enumerate(values)], [Chart("A", ("a",), log=True)])
    upright = [text for text in Page(report.html()).text_of("text") if text not in ("0", "0.2", "0.4", "0.6", "0.8")]
    assert 3 <= len(upright) <= 9


def test_constant_and_single_points_are_drawn() -> None:
    report = Report("r")
    report.add_curves("c", [{"step": 5, "a": 2.0}], [Chart("One", ("a",))])
    assert any(tag == "use" for tag, _ in Page(report.html()).tags)
    assert "nan" not in report.html().split("<main>")[1]


@pytest.mark.parametrize("name", [r"$\frac{$", "{{ 7 * 7 }}{% raw %}", "a</svg><script>alert(1)</script>"])
def test_names_of_curves_and_their_axis_are_no_language(name: str) -> None:
    report = Report(name, name)
    report.add_facts({name: name})
    report.add_curves(name, [{name: 1, "y": 2.0}, {name: 2, "y": 3.0}], [Chart(name, ("y",), name)], x=name)
    page = Page(report.html())
    assert page.text_of("h1") == page.text_of("b") == [name]
    assert [a["aria-label"] for tag, a in page.tags if tag == "svg"] == [f"{name} over {name}"]
    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_colours_and_letters_of_charts_are_the_pages() -> None:
    """So that a dark page is dark, and nothing that a figure says of itself reaches the rest of the page."""
    report = Report("r")
    report.add_curves("c", [{"step": i, "a": i, "b": 2} for i in range(3)], [Chart("One", ("a", "b"))])
    html = report.html()
    figure = html[html.index("<svg") : html.index("</svg>")]
    assert {"var(--series-0)", "var(--series-1)", "var(--line)", "var(--muted)"} <= set(
        re.findall(r"var\([^)]*\)", figure)
    )
    assert not re.search(r"#[0-9a-f]{6}|font|<style|xmlns", figure)


def test_wrong_sections_are_named() -> None:
    report = Report("r")
    with pytest.raises(ValueError, match="Table 't' has no rows"):
        report.add_table("t", [])
    with pytest.raises(ValueError, match="no column 'fidd'; its rows have fid, model"):
        report.add_table("t", [{"model": "a", "fid": 1.0}], [Column("model"), Column("fidd")])
    with pytest.raises(ValueError, match="no column 'x'"):
        report.add_table("t", [{"model": "a"}], sort_by="x")
    with pytest.raises(ValueError, match="no row holds numbers for both 'loss' and 'step'"):
        report.add_curves("c", [{"step": 1, "los": 2.0}], [Chart("Loss", ("loss",))])
    with pytest.raises(ValueError, match="has 0 lines, expected 1 to 6"):
        Chart("empty", ())
    with pytest.raises(ValueError, match=r"shape \[3, 3\] of uint8"):
        report.add_image("i", np.zeros((3, 3), np.uint8))


def test_png_files_are_embedded_and_others_refused(tmp_path: Path) -> None:
    from mutoscope.render.sheet import save_png

    path = save_png(tmp_path / "a.png", np.full((3, 2, 3), 9, np.uint8))
    report = Report("r")
    report.add_image("i", path)
    source = next(a["src"] for tag, a in Page(report.html()).tags if tag == "img")
    assert base64.b64decode(source.split(",")[1]) == path.read_bytes()
    other = tmp_path / "b.png"
    other.write_text("no picture")
    with pytest.raises(ValueError, match=r"b\.png' is no PNG"):
        report.add_image("i", other)
