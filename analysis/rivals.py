"""Block layers beside what one would use instead of them, from the timings of `make bench`."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis import words
from analysis.timings import BATCH, Place, Timings

LAYER, BARE = "layer", "product"
NETS = {"lenet": "LeNet-5", "cuda_convnet": "cuda-convnet", "mlp980": "980 hidden units"}


@dataclass(frozen=True)
class Rival:
    """What is timed as one of `methods` (the fastest counts), its name and what to know of it."""

    name: str
    methods: tuple[str, ...]
    remark: str


RIVALS = (
    Rival("libxsmm", ("libxsmm",),
          "bare kernels without a layer around them; weights turned ahead, which counts in "
          "training (all products) alone"),
    Rival("oneDNN matmul", ("onednn",),
          "bare batched product; made for its shape ahead, and sets dW where others add to it"),
    Rival("torch.bmm", ("torch_bmm",),
          "bare batched product; leaves outputs block by block, not in the next layer's order"),
    Rival("loop of sgemm", ("cblas_loop", "cblas_loop_own_choice", "cublas_loop"),
          "a call of BLAS for each block; the fastest of the kernels that the library has"),
    Rival("CSR", ("csr",), "as many weights, anywhere in the matrix; forward only"),
    Rival("ACDC", ("acdc",),
          "another function, with 2n weights whatever b is: it gains on few blocks"),
    Rival("Toeplitz-like", ("toeplitz",),
          "another function of as many weights, by FFT; forward only"),
)  # fmt: skip
# Those that compute what the layer does, and of these the batched products.
SAME, BATCHED = RIVALS[:4], RIVALS[:3]
DENSE = Rival("fastest dense product", (), "whatever library it is from")


@dataclass(frozen=True)
class Comparison:
    """How many times as fast as a rival the layer is, by case, and the bare product too."""

    rival: Rival
    ratios: dict[Place, float]
    bare: dict[Place, float]

    def of(self, product: str, square: bool) -> list[float]:
        """Ratios of the n x n cases, or of the networks' layers."""
        return [
            ratio
            for place, ratio in self.ratios.items()
            if place.product == product and (place.group == "square") == square
        ]

    @property
    def lost(self) -> list[Place]:
        """Cases in which the rival is faster, the worst first."""
        return sorted((p for p, ratio in self.ratios.items() if ratio < 1), key=self.ratios.get)

    @property
    def lost_text(self) -> str:
        """Where the rival is faster, and whether the product or what is around it costs that."""
        lost = self.lost
        if not lost:
            return "nowhere"
        worst = lost[0]
        around = sum(self.bare.get(place, 0) >= 1 for place in lost)
        told = (
            f"{len(lost)} of {len(self.ratios)} cases, at worst {words.number(self.ratios[worst])} "
            f"times as fast ({case_text(worst)})"
        )
        if around:
            told += f"; in {around} of these the layer's product alone is not slower"
        return told


def case_text(place: Place) -> str:
    """A case in a few words."""
    shape = (
        f"n = {place.N:,}"
        if place.group == "square"
        else f"{NETS.get(place.group, place.group)} {place.layer}"
    )
    return f"{shape}, b = {place.b:,}, {'forward' if place.product == 'forward' else 'all'}"


def mean(ratios: Iterable[float]) -> float | None:
    """Geometric; None of nothing."""
    values = list(ratios)
    return statistics.geometric_mean(values) if values else None


def batches(timings: Timings) -> list[int]:
    """Batch sizes of the n x n cases, ascending."""
    return sorted({place.M for place in timings.seconds if place.group == "square"})


def cases(timings: Timings, state: str = "warm", batch: int = BATCH) -> list[Place]:
    """Cases with blocks: n x n at a batch size; with the paper's, the networks' own layers too."""
    return [
        place
        for place in timings.seconds
        if place.b > 1
        and place.state == state
        and (place.M if place.group == "square" else BATCH) == batch
        and LAYER in timings.seconds[place]
    ]


def beside_warm(timings: Timings, state: str) -> dict[Place, tuple[float, float]]:
    """Speedups over dense in another state and in the same cases warm, where both were timed."""
    warm = {place: replace(place, state="warm") for place in cases(timings, state)}
    return {
        place: (timings.speedup(place), timings.speedup(other))
        for place, other in warm.items()
        if other in timings.seconds
    }


def compare(
    timings: Timings, rival: Rival, state: str = "warm", batch: int = BATCH
) -> Comparison | None:
    """The comparison; None where the rival was not timed."""
    ratios, bare = {}, {}
    for place in cases(timings, state, batch):
        found = timings.seconds[place]
        times = [found[method] for method in rival.methods if method in found]
        if rival is DENSE:
            times = [timings.dense(place)]
        if times:
            ratios[place] = min(times) / found[LAYER]
            if BARE in found:
                bare[place] = min(times) / found[BARE]
    return Comparison(rival, ratios, bare) if ratios else None


def comparisons(timings: Timings, state: str = "warm", batch: int = BATCH) -> list[Comparison]:
    """All that were timed, dense first."""
    found = [compare(timings, rival, state, batch) for rival in (DENSE, *RIVALS)]
    return [one for one in found if one is not None]


def csv_text(found: Sequence[Comparison]) -> str:
    """A row for each case and rival, cases in which the layer is slower among them."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["rival", "group", "layer", "M", "N", "K", "b", "product", "times_as_fast"])
    for one in found:
        for p in sorted(one.ratios):
            case = (p.group, p.layer, p.M, p.N, p.K, p.b, p.product)
            writer.writerow([one.rival.name, *case, f"{one.ratios[p]:.4g}"])
    return stream.getvalue()
