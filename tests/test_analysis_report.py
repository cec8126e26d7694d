"""The report page: whole, self-contained, and saying what the results say."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from analysis_runs import write_lenet_sisters, write_run

from analysis import page, paired, report, shuffles, table1
from analysis.figures import accuracy, style
from analysis.results import Key, load


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its elements are nested."""

    void = frozenset({"meta", "img", "br", "input"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)
        if tag == "img":
            self.images.append(given["src"])
            assert given["alt"]
        if tag == "a":
            self.links.append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words)).replace(
            "\N{RIGHT SINGLE QUOTATION MARK}", "'"
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page from reference runs, an own run, one under way and two that the paper lacks."""
    results = tmp_path_factory.mktemp("results")
    write_lenet_sisters(results / "reference")
    write_run(results, "(10,1)-BD_4", "bdip", 1, 0.9893)
    write_run(results, "(10,1)-BD_4", "shuffle", 1, 0.9, state="running", iteration=3200)
    write_run(results, "(50,1)-BD_4", "bdip", 1, 0.9883)
    write_run(results, "(1,1)-BD_4", "bdip", 1, 0.89, dataset="fashion-mnist")
    return report.write(load(results), results / "report")


def test_every_image_and_link_resolves(made: Path) -> None:
    seen = Page(made)
    assert len(seen.images) == 2
    for path in seen.images + [link for link in seen.links if not link.startswith("#")]:
        assert (made.parent / path).stat().st_size > 0, path
    anchors = {link.removeprefix("#") for link in seen.links if link.startswith("#")}
    assert {"summary", "table1", "section5", "paper-lacks", "ledger", "history"} <= anchors
    assert anchors <= set(seen.ids)
    assert len(set(seen.ids)) == len(seen.ids)


def test_needs_no_network_and_no_script(made: Path) -> None:
    html = made.read_text()
    assert "script" not in Page(made).tags
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import", html)


def test_says_what_is_own_and_what_is_reference(made: Path) -> None:
    text = Page(made).text
    assert "7 results in the table: 1 from your own runs and 6 from the reference runs" in text
    assert "98.931 seed, ownreference: 98.89 ± 0.07 (3 seeds)" in text
    assert "seed 1 running 3,200/10,000" in text
    assert "90.00" not in text


def test_same_results_same_bytes(made: Path, tmp_path: Path) -> None:
    again = report.write(load(made.parent.parent), tmp_path)
    for path in made.parent.rglob("*.*"):
        assert path.read_bytes() == (again.parent / path.relative_to(made.parent)).read_bytes()


def test_page_from_nothing(tmp_path: Path) -> None:
    text = Page(report.write(load(tmp_path), tmp_path / "report")).text
    assert "No run is finished yet" in text
    assert "Of the 27 numbers of the paper's Table 1, 0 have a result below." in text
    assert "No config has a result with both shuffles yet." in text
    assert "Not drawn, since runs are missing: Figure 6" in text
    table = text.partition("Other results")[0].partition("Table 1: test accuracy")[2]
    assert table.count("not run: make train") >= 11


def test_imports_neither_caffe_nor_scripts() -> None:
    import analysis.report  # noqa: F401

    mine = [m for name, m in sys.modules.items() if name.split(".")[0] == "analysis"]
    assert len(mine) > 10
    for module in mine:
        source = Path(module.__file__).read_text()
        assert not re.search(r"^\s*(import|from) (caffe|scripts)\b", source, re.MULTILINE)


def test_text_is_escaped_once() -> None:
    made = page.paragraph("a < b & `x & y` (10,1)-BD_4's")
    assert made == (
        "<p>a &lt; b &amp; <code>x &amp; y</code> "
        '<span class="config">(10,1)-BD_4</span>\N{RIGHT SINGLE QUOTATION MARK}s</p>'
    )
    assert page.text(made) == made


# ---- FIXED or PER_PASS, decided by the data alone -----------------------------------------------


def conclude(results: Path, fixed: list[list[float]], per_pass: list[list[float]]) -> str:
    """The conclusion for accuracies of (10,1) and (100,10), a list of seeds each."""
    for config, *methods in zip(("(10,1)-BD_4", "(100,10)-BD_4"), fixed, per_pass, strict=True):
        for method, values in zip(("shuffle", "shuffle_per_pass"), methods, strict=True):
            for seed, value in enumerate(values, 1):
                write_run(results, config, method, seed, value)
    return shuffles.conclusion(shuffles.evidence(table1.paper_rows(load(results))))


AT_PAPER = [[0.9880, 0.9881, 0.9882], [0.9841, 0.9842, 0.9843]]
FAR_OFF = [[0.9380, 0.9381, 0.9382], [0.8841, 0.8842, 0.8843]]
NEAR_OFF = [[0.9878, 0.9879, 0.9880], [0.9838, 0.9839, 0.9840]]


def test_fixed_is_the_papers(tmp_path: Path) -> None:
    assert conclude(tmp_path, AT_PAPER, FAR_OFF).endswith("the paper's column is what FIXED gives.")


def test_per_pass_is_the_papers(tmp_path: Path) -> None:
    said = conclude(tmp_path, FAR_OFF, AT_PAPER)
    assert said.endswith("the paper's column is what PER_PASS gives.")


def test_nearer_but_itself_off(tmp_path: Path) -> None:
    said = conclude(tmp_path, NEAR_OFF, FAR_OFF)
    assert said.endswith("FIXED is what comes near the paper's column.")


def test_one_seed_settles_nothing(tmp_path: Path) -> None:
    said = conclude(tmp_path, [[0.9881], [0.9842]], [[0.98], [0.97]])
    assert said == "FIXED is nearer in both configs, by less than these seeds can settle."


def test_far_off_in_one_config_alone_is_told(tmp_path: Path) -> None:
    said = conclude(tmp_path, AT_PAPER, [NEAR_OFF[0][:1], FAR_OFF[1]])
    assert said.endswith(
        "PER_PASS is more than 2 of its standard deviations off at (100,10)-BD_4 alone."
    )


def test_split_evidence(tmp_path: Path) -> None:
    said = conclude(tmp_path, [AT_PAPER[0], FAR_OFF[1]], [FAR_OFF[0], AT_PAPER[1]])
    assert "do not tell which" in said


# ---- paired differences -------------------------------------------------------------------------


def comparison(by_seed: dict[int, float]) -> paired.Comparison:
    return paired.Comparison(None, None, "own", by_seed)


def test_paired_interval_by_hand() -> None:
    pair = comparison({1: 0.1, 2: 0.2, 3: 0.3})
    half = 4.302652729911275 * 0.1 / 3**0.5  # Student's t for 2 degrees of freedom, 97.5%
    assert pair.interval == pytest.approx((0.2 - half, 0.2 + half))
    assert pair.words == "no difference that 3 seeds can show"


@pytest.mark.parametrize(
    ("by_seed", "words"),
    [
        ({1: 1.0, 2: 1.1, 3: 0.9}, "higher, beyond what the seeds explain"),
        ({1: -1.0, 2: -1.1, 3: -0.9}, "lower, beyond what the seeds explain"),
        ({1: 1.0}, "one seed: no spread to judge it by"),
        ({1: 0.5, 2: 0.5}, "the same difference with every seed"),
    ],
)
def test_words_follow_the_interval(by_seed: dict[int, float], words: str) -> None:
    assert comparison(by_seed).words == words


def test_pairs_are_of_the_same_seeds_and_source(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.98)
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 2, 0.97)
    write_run(tmp_path, "(10,1)-BD_4", "shuffle", 2, 0.975)
    write_run(tmp_path, "(10,1)-BD_4", "shuffle", 3, 0.99)
    write_run(tmp_path / "reference", "(1,1)-BD_4", "bdip", 1, 0.99)
    results = load(tmp_path)
    (pair,) = paired.comparisons(results, table1.paper_rows(results))
    assert pair.by_seed == pytest.approx({2: 0.5})
    assert pair.printed == pytest.approx(98.81 - 98.83)


# ---- figure -------------------------------------------------------------------------------------


def test_curves_are_means_over_seeds(made: Path) -> None:
    results = load(made.parent.parent)
    rows = {(r.key.config, r.key.method): r for r in table1.paper_rows(results) if r.shown}
    row = rows["(100,10)-BD_4", "shuffle"]
    curve = accuracy.seed_curve(results, row)
    assert curve.iterations[[0, 1, -1]].tolist() == [0, 500, 10_000]
    assert curve.mean[-1] == pytest.approx(row.shown.mean)
    assert curve.sd[-1] == pytest.approx(row.shown.sd)


def test_zoom_leaves_out_what_is_far(made: Path) -> None:
    results = load(made.parent.parent)
    rows = accuracy.config_groups(results)[Key("lenet", "mnist", "(100,10)-BD_4", None)]
    assert [row.label for row in rows][:2] == ["dense", "BDIP"]
    low, high = accuracy.zoom_limits([accuracy.seed_curve(results, row) for row in rows])
    assert 95 < low < 98.16  # PER_PASS ends at 88
    assert 99.11 < high < 100


def test_every_method_has_a_line() -> None:
    from analysis import methods

    assert set(style.LINES) == {"dense", *methods.METHODS}


def test_a_figure_that_did_not_change_is_left_alone(tmp_path: Path) -> None:
    def save(height: float) -> dict[str, tuple[int, bytes]]:
        with style.figure(1) as (made, axes):
            axes.plot([0, height])
            style.save(made, tmp_path / "one")
        paths = [tmp_path / f"one.{suffix}" for suffix in ("svg", "pdf", "png")]
        return {path.name: (path.stat().st_ino, path.read_bytes()) for path in paths}

    first = save(1)
    assert save(1) == first
    second = save(2)
    assert all(second[name][1] != first[name][1] for name in first)
    (tmp_path / "one.png").unlink()
    again = save(2)
    assert {name: data for name, (_, data) in again.items()} == {
        name: data for name, (_, data) in second.items()
    }
