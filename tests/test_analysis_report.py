"""The report page: whole, self-contained, and saying what the results say."""

import csv
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from analysis_runs import svhn_run, write_convnet_run, write_lenet_sisters, write_run
from bench_timings import write_timings

from analysis import page, paired, paper, report, shuffles, table1, timings
from analysis.claims import ledger
from analysis.claims.core import (
    DIRECTION,
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Evidence,
    Finding,
)
from analysis.figures import accuracy, style
from analysis.figures.curves import Drawn
from analysis.nulls import Nulls
from analysis.results import Key, load
from analysis.sections import accuracy as accuracy_sections
from analysis.sections import runs, summary
from analysis.sections.speed import Measured
from analysis.sisters import Spectra


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


# ---- the summary and the ledger -----------------------------------------------------------------


def entry(cell_id: str, verdict: str, ours: str = "") -> ledger.Entry:
    """A ledger's entry of that verdict for a cell of Table 1."""
    return ledger.Entry(paper.claims()[f"table1/{cell_id}"], "", Finding(verdict, ours))


def quoted(count: int, verdict: str) -> str:
    return f"{count} \N{LEFT DOUBLE QUOTATION MARK}{verdict}\N{RIGHT DOUBLE QUOTATION MARK}"


def summary_text(results: Path, entries: list[ledger.Entry]) -> str:
    """The summary's content, its elements left out."""
    found = load(results)
    rows = table1.paper_rows(found)
    evidence = Evidence(found, Spectra(found, Nulls(None, 5)))
    pairs = paired.comparisons(found, rows)
    made = summary.summary_section(rows, pairs, entries, evidence).content
    made = re.sub(r"<[^>]+>", "", made.replace("</li>", " ")).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", made).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def test_summary_has_the_ledgers_verdicts_and_no_own(tmp_path: Path) -> None:
    """Verdicts are taken as they are, even those that no test of numbers would give."""
    for method, accuracy_ in (("bdip", 0.9883), ("ip_bdip", 0.5), ("magnitude", 0.9906)):
        for seed in (1, 2):
            write_run(tmp_path, "(10,1)-BD_4", method, seed, accuracy_ + seed / 1e6)
    place = "mnist/(10,1)-BD_4"
    verdicts = {"bdip": FAILS, "ip_bdip": HOLDS, "trad_prune": DIRECTION, "shuffle": NOT_RUN}
    said = summary_text(tmp_path, [entry(f"{place}/{c}", v) for c, v in verdicts.items()])
    counted = ", ".join(quoted(1, verdict) for verdict in (HOLDS, DIRECTION, FAILS))
    assert f"with rand. shuff. as FIXED: {counted} and {quoted(1, NOT_RUN)}." in said
    assert (
        f"In Table 1, {DIRECTION}: (10,1)-BD_4 trad. prune (+0.02 points); "
        f"{FAILS}: (10,1)-BD_4 BDIP (+0.00 points)." in said
    )
    assert "by one seed" not in said


def test_summary_and_ledger_agree_on_the_page(made: Path) -> None:
    with open(made.parent / "claims.csv", newline="") as stream:
        lines = [line for line in csv.DictReader(stream) if line["id"].startswith("table1/")]
    text = Page(made).text
    for verdict, count in Counter(line["verdict"] for line in lines).items():
        assert quoted(count, verdict) in text
    assert "1 verdict by one seed, which has no spread." in text


def test_the_ledger_names_the_parts_of_the_paper(made: Path) -> None:
    html = made.read_text()
    heads = ["Table 1", "Abstract", "Section 2", "Section 5.1", "Section 6"]
    places = [html.index(f">{head}</th>") for head in heads]
    assert places == sorted(places)
    assert "Section abstract" not in html


def test_a_shorter_run_is_no_number_of_the_ledgers(tmp_path: Path) -> None:
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.9, max_iter=2000)
    said = summary_text(tmp_path, [entry("mnist/(10,1)-BD_4/bdip", NOT_RUN)])
    assert "1 result of another number of iterations than the paper's" in said
    assert f"with rand. shuff. as FIXED: {quoted(1, NOT_RUN)}." in said
    assert "In Table 1" not in said


def test_what_is_run_but_open_is_not_told_as_not_run(tmp_path: Path) -> None:
    for seed, accuracy_ in ((1, 0.97), (2, 0.98)):
        write_run(tmp_path, "(10,1)-BD_4", "bdip", seed, accuracy_)
    cells = [entry("mnist/(10,1)-BD_4/bdip", UNDECIDED, "97.5"), entry("mnist/(1,1)-BD_4", NOT_RUN)]
    said = summary_text(tmp_path, cells)
    assert f"as FIXED: {quoted(1, UNDECIDED)} and {quoted(1, NOT_RUN)}." in said
    assert f"In Table 1, {UNDECIDED}: (10,1)-BD_4 BDIP ({table1.MINUS}1.33 points)." in said


def test_the_summary_tells_data_sets_of_one_config_apart(tmp_path: Path) -> None:
    for dataset, accuracies in (("svhn", (0.92, 0.91)), ("cifar10", (0.76, 0.70))):
        for config, accuracy_ in zip(("(1,1)-BD_5", "(8,1)-BD_5"), accuracies, strict=True):
            write_convnet_run(tmp_path, dataset, config, "bdip", 1, accuracy_)
    write_convnet_run(
        tmp_path, "svhn", "(64,2)-BD_5", "bdip", 3, 0.5, state="running", iteration=100
    )
    entries = [entry("svhn/(8,1)-BD_5/bdip", DIRECTION), entry("cifar10/(8,1)-BD_5/bdip", FAILS)]
    said = summary_text(tmp_path, entries)
    svhn, cifar10 = (
        said.partition(f"cuda-convnet on {name}: ")[2] for name in ("SVHN", "CIFAR-10")
    )
    minus = table1.MINUS
    assert svhn.startswith(f"In Table 1, {DIRECTION}: (8,1)-BD_5 BDIP ({minus}0.39 points). ")
    assert cifar10.startswith(f"In Table 1, {FAILS}: (8,1)-BD_5 BDIP ({minus}5.07 points). ")
    for text, cost in ((svhn, "1.00 points (paper \u22120.57"), (cifar10, "6.00 points (paper")):
        blocks = text.partition("Blocks against the dense net, seed by seed: ")[2]
        assert blocks.startswith(f"(8,1)-BD_5 {minus}{cost}")
    assert "2 verdicts by one seed, which has no spread." in said
    assert "cuda-convnet on SVHN (64,2)-BD_5 BDIP, seed 3, running 100/9,000" in said


# ---- what the numbers come from -----------------------------------------------------------------


def test_every_section_of_accuracies_tells_which_data_they_are_of(tmp_path: Path) -> None:
    """SVHN's test set is another one than the paper's; CIFAR-10's is the official one."""
    svhn_run(tmp_path, 1, known_as="the first 10,000 of 26,032")
    for dataset, config, accuracy_ in (
        ("svhn", "(1,1)-BD_5", 0.92),
        ("cifar10", "(1,1)-BD_5", 0.76),
        ("cifar10", "(8,1)-BD_5", 0.75),
    ):
        write_convnet_run(tmp_path, dataset, config, "bdip", 1, accuracy_)
    results = load(tmp_path)
    rows = table1.paper_rows(results)
    drawn = accuracy.draw_all(results, tmp_path / "figures")
    pairs = paired.comparisons(results, rows)
    told = "tested on the first 10,000 of 26,032"
    for section in (
        accuracy_sections.table1_section(rows, []),
        accuracy_sections.figures_section(drawn),
        accuracy_sections.pairs_section(pairs),
    ):
        assert section.content.count(told) == 1, section.heading
    assert told in summary_text(tmp_path, [])
    of_cifar10 = [pair for pair in pairs if pair.first.key.dataset == "cifar10"]
    assert "tested on" not in accuracy_sections.pairs_section(of_cifar10).content


def test_figures_of_one_config_are_told_apart(tmp_path: Path) -> None:
    for dataset in ("svhn", "cifar10"):
        for config in ("(1,1)-BD_5", "(8,1)-BD_5"):
            write_convnet_run(tmp_path, dataset, config, "bdip", 1, 0.7)
    drawn = accuracy.draw_all(load(tmp_path), tmp_path)
    names = [f"cuda-convnet on {name}, (8,1)-BD_5" for name in ("SVHN", "CIFAR-10")]
    assert [one.name for one in drawn] == names
    made = accuracy_sections.figures_section(drawn).content
    for name in names:
        assert f'alt="Test accuracy over iterations, {name}: dense ends at 70.00%' in made
    for one, name in zip(drawn, names, strict=True):
        assert accuracy_sections.figure_caption(one).startswith(f"{name}: mean test accuracy")
    first, second = ((tmp_path / f"{one.stem}.svg").read_bytes() for one in drawn)
    assert first != second  # the same numbers under another title


def test_the_note_under_table_1_has_the_papers_own_words(made: Path) -> None:
    text = Page(made).text
    assert "Section 4.2 says \u201crandomly shuffle whole blocks each pass\u201d (PER_PASS" in text
    assert "does not say whether" not in text


# ---- slips --------------------------------------------------------------------------------------


def slips(shown: set[str]) -> set[str]:
    """The slips that the page has for what is shown."""
    made = runs.slips_section(shown).content
    return {name for name, slip in paper.slips().items() if page.text(slip.remark) in made}


def test_every_slip_can_show() -> None:
    shows = {part for slip in paper.slips().values() for part in slip.shows}
    assert slips(shows) == set(paper.slips())
    assert slips({"fashion-mnist"}) == set()


def test_slips_show_by_finished_runs_of_any_net(tmp_path: Path) -> None:
    write_run(tmp_path, "(1,100,1)-BD_3", "bdip", 1, 0.9, net="mlp500")
    write_run(tmp_path, "(49,1)-BD_2", "ip_bdip,alpha=1e-2", 1, 0.9, net="mlp980")
    write_run(tmp_path, "(10,1)-BD_4", "bdip", 1, 0.9, state="running", iteration=100)
    write_run(tmp_path, "(100,1,1)-BD_3", "shuffle_per_pass", 1, 0.9, net="mlp500")
    shown = runs.shown_parts(load(tmp_path), [], [])
    assert {"mlp500", "mlp980", "mnist", "bdip", "ip_bdip", "shuffle"} <= shown
    assert not shown & {"lenet", "spectrum", "cuda_convnet"}
    wanted = {"mlp-reference-variance", "fig3-of-34", "eq1-indicator", "each-pass"}
    assert wanted <= slips(shown)
    assert not slips(shown) & {"two-relu", "eq3-support", "convnet-1024-twice"}


def test_slips_show_by_figures_of_section_5_and_by_timings(tmp_path: Path) -> None:
    nothing = load(tmp_path)
    assert runs.shown_parts(nothing, [], []) == set()
    figures = [Drawn("figure09", "", "", "", "", (1, 1))]
    about_spectra = {"eq3-support", "eigenvalues-as-singular-values", "zeros-left-out"}
    assert about_spectra <= slips(runs.shown_parts(nothing, figures, []))
    write_timings(tmp_path / "bench" / "own")
    measured = [Measured(timings.load(tmp_path / "bench" / "own"), [], {})]
    assert "convnet-1024-twice" in slips(runs.shown_parts(nothing, [], measured))


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
    said = conclude(tmp_path, AT_PAPER, [[0.9870, 0.9885, 0.9900], FAR_OFF[1]])
    assert said.endswith(
        "PER_PASS is more than 2 standard deviations of a seed off at (100,10)-BD_4 alone."
    )


def test_one_seed_is_far_off_in_what_the_others_seeds_differ_by(tmp_path: Path) -> None:
    said = conclude(tmp_path, AT_PAPER, [FAR_OFF[0][:1], FAR_OFF[1][:1]])
    assert said.endswith("the paper's column is what FIXED gives.")


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
