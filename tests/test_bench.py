"""`make bench`: rivals compute what their definitions say, and figures come from its CSV files."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from analysis_runs import write_run
from bench_timings import write, write_timings

from analysis import paper, rivals, words
from analysis import timings as timings_module
from analysis.claims import ledger, speed
from analysis.claims.core import DIRECTION, FAILS, NOT_RUN, Evidence
from analysis.claims.rivals import slower_than_blocks
from analysis.claims.speed import pruning_pays
from analysis.errors import AnalysisError
from analysis.figures import figure01, figure02, figure03
from analysis.page import Section
from analysis.results import load
from analysis.sections import speed as section
from scripts import runs
from scripts.bench import __main__ as command
from scripts.bench import check, measure
from scripts.bench.__main__ import LARGEST_ERROR, Bench, cpu_workers
from scripts.bench.cases import LAYERS, Case, chosen, powers
from scripts.bench.rivals import acdc
from scripts.bench.rivals.acdc import Acdc
from scripts.bench.rivals.csr import FEW, Csr, CsrFew
from scripts.bench.rivals.problem import Problem, Rival, Unable
from scripts.bench.rivals.toeplitz import Toeplitz
from scripts.bench.rivals.worker import Worker
from scripts.bench.table import limit_seconds
from scripts.errors import UserError
from scripts.paths import ROOT

# ---- rivals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [Problem(3, 16, 16, 4), Problem(1, 64, 64, 8)])
@pytest.mark.parametrize("rival", [Acdc, Csr, Toeplitz])
def test_rivals_compute_their_definition(rival: type[Rival], problem: Problem) -> None:
    assert rival(problem, False).error(False) < 1e-6


def test_acdc_gradients() -> None:
    assert Acdc(Problem(3, 32, 32, 1), True).error(True) < 1e-5


def test_an_error_in_a_rival_shows() -> None:
    """The check is not the computation: a wrong weight is found."""
    for rival in (Acdc(Problem(3, 16, 16, 4), False), Toeplitz(Problem(3, 16, 16, 4), False)):
        weights = rival.d if isinstance(rival, Acdc) else rival.g
        rival.forward()
        weights[0] += 1
        wrong = rival.y.copy()
        rival.forward = lambda r=rival, y=wrong: setattr(r, "y", y)
        assert rival.error(False) > 1e-3


def test_cosine_rows_are_orthonormal() -> None:
    rows = acdc.cosines(12, np.arange(12), np.arange(12))
    assert np.allclose(rows @ rows.T, np.eye(12))


def test_csr_has_as_many_weights_as_the_blocks() -> None:
    made = Csr(Problem(2, 12, 20, 4), False)
    assert made.w.nnz == 12 * 20 // 4
    assert made.w.has_canonical_format


def test_csr_of_few_weights_is_of_the_layers_of_the_paper() -> None:
    timed = {(c.N, c.K, c.b): c.layer for c in chosen(full=False) if c.group == "cuda_convnet"}
    assert {timed[place] for place in FEW} == {"ip1", "ip2"}
    for (N, K, b), count in FEW.items():
        made = CsrFew(Problem(3, N, K, b), False)
        assert made.w.nnz == count == np.count_nonzero(made.w.toarray())
        assert made.error(False) < 1e-6
        made.forward()
        made.y[np.flatnonzero(made.y.any(axis=1))[-1]] += 1
        made.forward = lambda: None
        assert made.error(False) > 1e-3
    assert set(Worker(["csr", "csr_few"], None).describe()["methods"]) == {"csr", "csr_few"}
    assert Worker(["csr_few"], None).describe()["methods"]["csr_few"][0] == "SciPy"
    with pytest.raises(Unable, match="the paper leaves few entries in no such layer"):
        CsrFew(Problem(3, 64, 1024, 8), False)


def test_what_a_rival_cannot_do_is_left_out() -> None:
    with pytest.raises(Unable):
        Toeplitz(Problem(2, 12, 20, 4), False)
    worker = Worker(["acdc", "csr"], None)
    assert set(worker.answer("case 2 12 20 4 forward warm")) == {"csr"}
    assert worker.answer("time csr warm 0.0001")["seconds"] > 0


# ---- cases and rounds ---------------------------------------------------------------------------


def test_every_case_divides() -> None:
    for case in chosen(full=True):
        assert (case.N % case.b, case.K % case.b) == (0, 0), case
    paper = {("lenet", "ip1"): 100, ("lenet", "ip2"): 10, ("cuda_convnet", "ip1"): 64,
             ("cuda_convnet", "ip2"): 2, ("mlp980", "ip1"): 49}  # fmt: skip
    for (net, layer), blocks in paper.items():
        assert blocks in LAYERS[net][layer][3]
    assert powers(8) == [1, 2, 4, 8]


def test_flops_and_bytes() -> None:
    case = Case("square", 10, 6, 8, 2, "forward")
    assert case.flops == 2 * 10 * 6 * 4
    assert case.bytes == 4 * (10 * 8 + 6 * 4 + 10 * 6)
    assert Case("square", 10, 6, 8, 2, "all").flops == 3 * case.flops


def rounds(seconds: dict[str, float | Iterator[float]], **settings: float):
    """Samples of methods that take so long, and the order in which they were asked."""
    order: list[str] = []

    def timer(name: str, value: float | Iterator[float]):
        def time(_: float) -> dict[str, float]:
            order.append(name)
            return {"seconds": value if isinstance(value, float) else next(value), "calls": 1}

        return time

    timers = {name: timer(name, value) for name, value in seconds.items()}
    return measure.interleaved(timers, **settings), order


def test_rounds_go_on_until_the_spread_is_small() -> None:
    noisy = iter([0.01, 0.02] * 50)
    found, order = rounds({"dense": noisy, "layer": 0.005, "dense_slow": 0.03, "slow": 0.99},
                          budget=99)  # fmt: skip
    assert order[:8] == ["dense", "layer", "dense_slow", "slow"] * 2
    assert len(found["dense"].seconds) == measure.MOST
    assert len(found["layer"].seconds) == measure.FEWEST
    assert len(found["dense_slow"].seconds) == len(found["slow"].seconds) == measure.FEW
    assert found["layer"].median == 0.005


def test_a_long_case_ends_after_few_rounds() -> None:
    found, _ = rounds({"dense": iter([1.0, 2.0] * 9), "layer": 0.5}, budget=4)
    assert {len(own.seconds) for own in found.values()} == {measure.FEW}


def test_a_long_case_goes_on_for_what_is_brief() -> None:
    noisy = iter([0.01, 0.02] * 50)
    found, _ = rounds({"dense": iter([1.0, 2.0] * 9), "layer": noisy, "rival": 0.01}, budget=3)
    taken = {name: len(own.seconds) for name, own in found.items()}
    assert taken == {"dense": measure.FEW, "layer": measure.MOST, "rival": measure.FEWEST}


def test_the_limit_is_the_slower_of_arithmetic_and_memory() -> None:
    machine = [
        {"what": "peak", "working_set": 0, "value": "100"},
        {"what": "bandwidth", "working_set": 10, "value": "50"},
        {"what": "bandwidth", "working_set": 20, "value": "10"},
    ]
    row = {"flops": 200, "bytes": 40, "working_set": 10}
    assert limit_seconds(row, machine) == 2
    assert limit_seconds({**row, "working_set": 11}, machine) == 4
    assert limit_seconds({**row, "working_set": 999}, machine) == 4
    both = [{**one, "cores": "2", "value": 2 * int(one["value"])} for one in machine]
    assert limit_seconds({**row, "threads": 2}, [*machine, *both]) == 1


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    subprocess.run(["scripts/build/build_bench.sh", "cpu"], cwd=ROOT, check=True)
    made = Bench(1, 0, cpu_workers(1))
    yield made
    made.close()


@pytest.mark.parametrize("product", ["forward", "all"])
def test_every_method_is_right_and_timed(bench: Bench, product: str) -> None:
    """On a tiny problem; Bench.case refuses a wrong result."""
    rows = bench.case(Case("square", 5, 16, 16, 4, product))
    found = {row["method"]: row for row in rows}
    assert {"dense", "layer", "product", "cblas_loop", "acdc"} <= set(found)
    for row in rows:
        assert float(row["error"]) < LARGEST_ERROR
        assert 0 < float(row["median_s"]) < 1
        assert row["threads"] == 1


def test_a_stopped_benchmark_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was timed is not timed again, and the files of the benchmark before stay until then."""
    subprocess.run(["scripts/build/build_bench.sh", "cpu"], cwd=ROOT, check=True)
    cases = [Case("lenet", 5, 16, 16, b, "forward") for b in (1, 2, 4)]
    monkeypatch.setattr(command, "chosen", lambda full: cases)
    asked: list[int] = []
    time_case, stops = Bench.case, {2}

    def case_or_stop(self: Bench, case: Case) -> list[dict]:
        asked.append(case.b)
        if case.b in stops:
            raise KeyboardInterrupt
        return time_case(self, case)

    monkeypatch.setattr(Bench, "case", case_or_stop)
    timed, unfinished = tmp_path / "times.csv", tmp_path / "unfinished.json"
    timed.write_text("of the benchmark before")

    def start(*options: str) -> None:
        words = ["bench", "--only", "lenet", "--out", str(tmp_path), *options]
        monkeypatch.setattr(sys, "argv", words)
        command.main()

    with pytest.raises(KeyboardInterrupt):
        start()
    assert timed.read_text() == "of the benchmark before"
    with pytest.raises(KeyboardInterrupt):
        start("--full")  # another benchmark
    assert asked == [1, 2, 1, 2]
    stops.clear()
    start("--full")
    assert asked == [1, 2, 1, 2, 2, 4]
    rows = list(csv.DictReader(timed.open()))
    assert [row["b"] for row in rows if row["method"] == "layer"] == ["1", "2", "4"]
    assert (tmp_path / "machine.csv").is_file()
    assert not unfinished.exists()
    start("--full")  # a finished one is not gone on with
    assert asked[-3:] == [1, 2, 4]
    with runs.lock(tmp_path), pytest.raises(UserError, match="another benchmark is running for"):
        start()
    with pytest.raises(UserError, match="--only lanet is not one of engines, nets, "):
        start("--only", "lanet")


def test_threads_are_a_number_of_processors() -> None:
    assert check.thread_count("1") == 1
    for wrong in ("0", "two", "99999"):
        with pytest.raises(UserError, match=f"THREADS is {wrong}"):
            check.thread_count(wrong)
    check.extent("full")
    with pytest.raises(UserError, match="BENCH is Full: there is BENCH=full, or no BENCH at all"):
        check.extent("Full")


# ---- figures ------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Timings in which a layer of b blocks is b times faster, and forward takes a third of all."""
    write_timings(tmp_path / "bench" / "test")
    return tmp_path


def test_speedups_are_over_the_fastest_dense_product(results: Path) -> None:
    timings = timings_module.find(results)
    assert timings.device == "Test, none, 1 thread"
    for place in timings.places("square", "all", M=100):
        assert timings.speedup(place) == pytest.approx(place.b)
    assert timings.prune_seconds(256) == 1.0
    assert timings.prune_seconds(300) is None


def test_every_claim_about_speed_is_decided(results: Path) -> None:
    """With timings in which block layers are b times faster, and CSR nine times b slower."""
    evidence = Evidence(load(results), None)
    claims = [claim for claim in paper.claims().values() if claim.test == "speed"]
    found = {claim.id: speed.speed(claim, evidence) for claim in claims}
    lacking = {place for place, one in found.items() if one.verdict == NOT_RUN}
    assert lacking == {"4.1/above-acdc", "4.2.1/toeplitz-slower", "4.2.3/sparse-speed"}
    assert found["1/sparse-needs-few"].ours == (
        "slower than dense down to 20% of the weights (LeNet-5) and down to 12% of the weights "
        "(cuda-convnet)"
    )
    assert found["4.1/sparse-both"].ours.startswith("9.00 to 9.00 times the blocks' time (LeNet-5)")
    failing = {place for place, one in found.items() if one.verdict == FAILS}
    assert failing == {
        *("4.1/best-blocks", "4.1/overhead", "4.1/sparse", "4.2/fastest"),
        *("4.2.1/trad-slow", "4.2.2/trad-slow", "4.2.3/trad-slow"),
    }
    assert found["4.1/lenet-8000"].ours == "at least 2.00"
    assert found["4.1/lenet-4000"].ours == "100"
    assert "on Test" in found["4.1/lenet-4000"].why
    assert found["6/train-time"].ours == "(10,1)-BD_4 1.50"
    nothing = Evidence(load(results / "bench" / "test"), None)
    assert speed.speed(claims[0], nothing).verdict == NOT_RUN


def test_whether_pruning_to_blocks_pays(results: Path) -> None:
    """Eq. 2 by hand: ip1 is 2 * 64 * 3 * 500 * 800 ns dense, a tenth in blocks, and 2 ms to prune.

    69 pruning iterations for each one in blocks are paid back, and 98 are not.
    """
    claim = paper.claims()["4.1/eq2"]
    assert pruning_pays(claim, Evidence(load(results), None)).verdict == NOT_RUN
    for base, (pruning, verdict) in {"few": (90, DIRECTION), "most": (9800, FAILS)}.items():
        write_timings(results / base / "bench" / "test")
        for cell in paper.table1_cells():
            net, last = cell.subject["net"], cell.subject["iterations"]
            if cell.subject["column"] != "ip_bdip":
                continue
            iters = pruning if net == "lenet" else 90
            prune = f"prune {{\n      start: 100\n      iters: {iters}\n"
            write_run(
                results / base, cell.subject["config"], "ip_bdip", 1, 0.9, net=net,
                dataset=cell.subject["dataset"], max_iter=last, net_prototxt=prune,
            )  # fmt: skip
        found = pruning_pays(claim, Evidence(load(results / base), None))
        left = 2e-9 * 64 * 3 * 500 * 800 * 0.9 / 2e-3
        right = pruning / (10_000 - 100 - pruning)
        sign = ">" if verdict == DIRECTION else "above"
        assert found.ours.startswith(f"(10,1)-BD_4 {left:.1f}"), found
        assert f"{sign} {words.number(right)}" in found.ours.partition(";")[0]
        assert found.verdict == verdict
    # Pruning that the clock finds to take nothing pays; none that blocks come of does not.
    path = results / "few" / "bench" / "test" / "updates.csv"
    rows = list(csv.DictReader(path.open()))
    write(path, [{**row, "median_s": 1} for row in rows])
    found = pruning_pays(claim, Evidence(load(results / "few"), None))
    assert found.verdict == DIRECTION
    assert found.ours.startswith("(10,1)-BD_4 no time that is measured > 0.00")
    path = results / "few" / "lenet-mnist" / "(10,1)-BD_4" / "ip_bdip" / "seed-1" / "run.json"
    path.write_text(path.read_text().replace("iters: 90", "iters: 9900"))
    found = pruning_pays(claim, Evidence(load(results / "few"), None))
    assert found.verdict == FAILS
    assert found.ours == "(10,1)-BD_4 is not pruned to blocks and trained in them"


def test_scattered_weights_beside_blocks(results: Path) -> None:
    claim = paper.claims()["6/sparse-slow"]
    found = slower_than_blocks(claim, Evidence(load(results), None))
    assert found.verdict == DIRECTION
    assert found.ours.startswith("execution (10,1)-BD_4 ")
    assert "training (10,1)-BD_4 9.00; (100,10)-BD_4 90.0" in found.ours
    path = results / "bench/test/times.csv"
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        if row["method"] == "csr" and row["group"] == "lenet":
            row["median_s"] = float(row["median_s"]) / 20
    write(path, rows)
    assert slower_than_blocks(claim, Evidence(load(results), None)).verdict == FAILS


def test_toeplitz_is_slower_than_dense(results: Path) -> None:
    """At the size nearest to 1,000 nodes, here 512: rank 2 has as many weights as 128 blocks."""
    claim = paper.claims()["4.2.1/toeplitz-slower"]
    path = results / "bench/test/times.csv"
    rows = list(csv.DictReader(path.open()))
    for factor, verdict, told in ((0.25, FAILS, "4.00"), (4, DIRECTION, "0.250")):
        more = [
            {**row, "method": "toeplitz", "median_s": factor * float(row["median_s"])}
            for row in rows
            if row["method"] == "dense_onednn" and row["group"] == "square"
        ]
        write(path, [*rows, *more])
        found = speed.speed(claim, Evidence(load(results), None))
        assert found.verdict == verdict
        assert found.ours == f"{told} with rank 2 and {told} with rank 4"


@pytest.mark.parametrize(
    ("times", "verdict", "told"), [(0.5, DIRECTION, "0.500"), (1.9, DIRECTION, "1.90"),
                                   (2.5, FAILS, "2.50")]
)  # fmt: skip
def test_few_sparse_weights_are_as_fast_as_blocks(
    times: float, verdict: str, told: str, results: Path
) -> None:
    path = results / "bench/test/times.csv"
    rows = list(csv.DictReader(path.open()))
    few = [
        {**row, "method": "csr_few", "median_s": times * float(row["median_s"])}
        for row in rows
        if row["method"] == "layer" and row["product"] == "forward"
        and (row["group"], row["layer"], row["b"]) in {("cuda_convnet", "ip1", "64"),
                                                       ("cuda_convnet", "ip2", "2")}
    ]  # fmt: skip
    write(path, [*rows, *few])
    found = speed.speed(paper.claims()["4.2.3/sparse-speed"], Evidence(load(results), None))
    assert found.verdict == verdict
    assert f"take {told} times as long" in found.ours


def test_a_rival_that_no_gpu_timing_has_is_read_from_the_cpus(results: Path) -> None:
    """And only up to the paper's dimension: ACDC gains nothing by 16,384."""
    claim = paper.claims()["4.1/above-acdc"]
    path = results / "bench/test/times.csv"
    rows = list(csv.DictReader(path.open()))
    acdc = [
        {**row, "method": "acdc", "median_s": float(row["median_s"]) / 300}
        for row in rows
        if row["method"] == "dense_onednn" and row["group"] == "square"
    ]
    shape = {"N": 16384, "K": 16384}
    big = [
        {**row, **shape, "method": method, "median_s": float(row["median_s"]) / gain}
        for row in acdc
        for method, gain in (("dense", 1), ("acdc", 1000))
    ]
    write(path, [*rows, *acdc, *big])
    write_timings(results / "bench/card", kind="gpu", device="Card")
    found = speed.speed(claim, Evidence(load(results), None))
    assert (found.verdict, found.ours) == (DIRECTION, "512 (ACDC 300)")
    assert "on Test" in found.why


@pytest.mark.parametrize(("dense", "verdict"), [(2.25, DIRECTION), (2.15, FAILS)])
def test_a_gain_within_the_quartiles_is_none(dense: float, verdict: str, results: Path) -> None:
    path = results / "bench/test/nets.csv"
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        if row["config"].startswith("(1,1)"):
            row.update(median_s=dense, q1_s=dense - 0.1)
    write(path, rows)
    found = speed.speed(paper.claims()["6/train-time"], Evidence(load(results), None))
    assert found.verdict == verdict
    assert ("within the quartiles" in found.ours) == (verdict == FAILS)


def test_a_full_matrix_in_csr_does_not_count_as_sparse(results: Path) -> None:
    path = results / "bench/test/times.csv"
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        if row["method"] == "csr":
            row["median_s"] = float(row["median_s"]) * (1 if row["b"] == "1" else 0.1)
    write(path, rows)
    found = speed.speed(paper.claims()["4.1/sparse"], Evidence(load(results), None))
    assert (found.verdict, found.ours) == (
        FAILS, "up to 0.450 (LeNet-5) and 0.450 (cuda-convnet)",
    )  # fmt: skip


def test_own_timings_come_before_the_reference(results: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference" / "bench" / "other"
    rows = list(csv.DictReader((results / "bench/test/times.csv").open()))
    write(reference / "times.csv", [{**row, "device": "Other"} for row in rows])
    assert timings_module.find(results).device.startswith("Test")
    (results / "bench" / "test" / "times.csv").unlink()
    assert timings_module.find(results).device.startswith("Other")
    assert timings_module.find(tmp_path / "nothing") is None


def test_a_device_of_each_kind(results: Path) -> None:
    """The ledger takes a GPU's timings, which the paper's are, where there are any."""
    write_timings(results / "bench" / "card", device="Card", isa="sm_90", kind="gpu")
    assert timings_module.find(results).device == "Card, sm_90"
    assert timings_module.find(results, "cpu").device.startswith("Test")


def test_rivals_by_hand(results: Path) -> None:
    """The layer is b times faster than dense, nine times faster than CSR, half its product."""
    timings = timings_module.find(results)
    dense, sparse = (one for one in rivals.comparisons(timings) if one.of("forward", True))
    assert dense.rival is rivals.DENSE
    assert rivals.mean(dense.of("all", True)) == pytest.approx(2 ** ((36 + 45) / 17))
    assert rivals.mean(sparse.of("forward", False)) == pytest.approx(9)
    assert sparse.of("all", True) == []
    assert dense.lost == sparse.lost == []
    assert timings.limit(timings.places("square", "all", N=256, b=4)[0]) == pytest.approx(
        timings.seconds[timings.places("square", "all", N=256, b=4)[0]]["layer"] / 2
    )


def test_a_case_that_is_lost_is_told(results: Path) -> None:
    """A rival that takes 0.8 of the layer's time in one case, 1.6 of its product's."""
    path = results / "bench" / "test" / "times.csv"
    rows = list(csv.DictReader(path.open()))
    mine = next(r for r in rows if r["method"] == "layer" and r["b"] == "8" and r["N"] == "512")
    write(path, [*rows, {**mine, "method": "libxsmm", "median_s": 0.8 * float(mine["median_s"])}])
    found = rivals.comparisons(timings_module.find(results))
    (lost,) = (one for one in found if one.lost)
    assert lost.rival.name == "libxsmm"
    assert lost.lost_text == (
        "1 of 1 cases, at worst 0.800 times as fast (n = 512, b = 8, forward); in 1 of these the "
        "layer's product alone is not slower"
    )
    assert "libxsmm,square,,100,512,512,8,forward,0.8" in rivals.csv_text(found)


def test_other_batch_sizes_have_a_table(results: Path, tmp_path: Path) -> None:
    """All of 512 x 512 once more with 16 images, and a torch.bmm of .8 of the time in one case."""
    path = results / "bench" / "test" / "times.csv"
    rows = list(csv.DictReader(path.open()))
    more = [
        {**row, "M": "16"}
        for row in rows
        if row["group"] == "square" and row["N"] == "512" and row["state"] == "warm"
    ]
    mine = next(r for r in more if r["method"] == "layer" and r["b"] == "8")
    more.append({**mine, "method": "torch_bmm", "median_s": 0.8 * float(mine["median_s"])})
    (only,) = section.measure_all(results, tmp_path)
    assert section.batches_table(only) is None
    write(path, [*rows, *more])
    (both,) = section.measure_all(results, tmp_path)
    cells = [
        re.sub("<[^>]+>", " ", line).split()
        for line in section.batches_table(both).split("<tr>")
        if "forward" in line or "all" in line
    ]
    dense, bmm, lost, limit = f"{2**5:.1f}", "0.800", "1", "50%"
    assert [dense, bmm, limit, lost] == cells[0][3:]
    assert cells[0][:3] == ["16", "forward", "9"]
    assert cells[1] == ["16", "all", "9", dense, "–", limit, "0"]
    told = (tmp_path / "rivals.csv").read_text()
    assert "torch.bmm,square,,16,512,512,8,forward,0.8" in told
    assert "fastest dense product,square,,100,512,512,8,forward,8" in told


def test_section_of_the_report(results: Path, tmp_path: Path) -> None:
    def words(made: Section) -> str:
        return re.sub(r"<[^>]+>|\s+", " ", made.content)

    out = tmp_path / "report"
    measured = section.measure_all(results, out)
    evidence = Evidence(load(results), None)
    claims = [claim for claim in paper.claims().values() if claim.test == "speed"]
    entries = [ledger.Entry(claim, "", speed.speed(claim, evidence)) for claim in claims]
    made = words(section.section(measured, entries))
    assert "Speedup of all gradient descent products in both inner product layers" in made
    assert "On Test, none, 1 thread" in made
    assert "takes 2.00 times as long as its bare products" in made
    assert "it reaches 50%" in made
    assert "faster by LeNet-5 2.00 times" in made
    assert "Not measured: no GPU. With one: make bench DEVICE=gpu" in re.sub(" +", " ", made)
    assert (out / "rivals.csv").is_file()
    write_timings(results / "reference" / "bench" / "card", device="Card", kind="gpu")
    measured = section.measure_all(results, out)
    assert [one.drawn[0].stem for one in measured] == ["figure01", "figure01-gpu"]
    made = words(section.section(measured, []))
    assert "On Card, none The reference timings" in re.sub(" +", " ", made)
    assert "Not measured" not in made
    assert "Not measured on a CPU" in words(section.section([], []))


def test_figures_from_timings(results: Path, tmp_path: Path) -> None:
    timings = timings_module.find(results)
    out = tmp_path / "report"
    drawn = [module.draw(timings, out) for module in (figure01, figure02, figure03)]
    assert [one.stem for one in drawn] == ["figure01", "figure02", "figure03"]
    for one in drawn:
        assert (out / f"{one.stem}.svg").stat().st_size > 1000
        assert "Test" in one.caption
    rows = list(csv.DictReader((out / "figure01.csv").open()))
    assert {float(row["speedup"]) / float(row["blocks"]) for row in rows} == {1.0}
    assert "forward 512 (n = 512, b = 512)" in drawn[0].caption
    # (T(FC) - T(Block)) / T(Prune), with n = 256, b = 2: dense 3 x 2 x 100 x 256^2 ns, half of it.
    bounds = list(csv.DictReader((out / "figure02.csv").open()))
    assert float(bounds[0]["bound"]) == pytest.approx(3 * 2 * 100 * 256**2 * 1e-9 / 2, rel=1e-4)
    assert "CSR is slower than dense by up to 4.50 times (LeNet-5)" in drawn[2].caption


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bench" / "x" / "times.csv", [{"group": "square"}])
    with pytest.raises(AnalysisError, match="has no column layer: run `make bench`"):
        timings_module.find(tmp_path)
