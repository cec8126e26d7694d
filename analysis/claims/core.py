"""What every evaluator of claims shares: verdicts, evidence, and how numbers are judged.

An evaluator is a function of a claim (paper.json) and the evidence (all results) that returns a
Finding. It is registered under the name that paper.json gives as the claim's "test"; its
docstring's first line is what the ledger says decides the claim.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis import methods, paper, table1, words
from analysis.paper import Claim
from analysis.results import OWN, REFERENCE, Key, Results, Run, Summary
from analysis.sisters import Spectra
from analysis.timings import COMMAND, Timings, find

HOLDS = "holds within seeds' spread"
EXACT = "holds exactly"
DIRECTION = "holds in direction"
FAILS = "does not hold"
NOT_RUN = "not run"
UNDECIDED = "run, but not decided"
NOT_CHECKED = "not checked here"
VERDICTS = (HOLDS, EXACT, DIRECTION, FAILS, UNDECIDED, NOT_RUN, NOT_CHECKED)

REACH = 2.0  # standard deviations
REPRODUCE = "make reproduce"


@dataclass(frozen=True)
class Finding:
    """A verdict with our number and the reason; `command` makes what is missing."""

    verdict: str
    ours: str = ""
    why: str = ""
    command: str = ""
    source: str = ""


NO_TIMINGS = Finding(NOT_RUN, why="no timings among the results", command=COMMAND)

Evaluator = Callable[[Claim, "Evidence"], Finding]
EVALUATORS: dict[str, Evaluator] = {}


def evaluator(function: Evaluator) -> Evaluator:
    """Registers an evaluator under its own name."""
    if function.__name__ in EVALUATORS:
        raise ValueError(f"two evaluators are named {function.__name__}")
    EVALUATORS[function.__name__] = function
    return function


class NoCommonSeed(Exception):
    """Runs that are to be compared seed by seed have no seed that all of them have."""


@dataclass(frozen=True)
class Differences:
    """Points of accuracy between two nets, seed by seed, and whose runs they are."""

    source: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


@dataclass(frozen=True)
class Evidence:
    """All results, and the spectra read from them when asked for."""

    results: Results
    spectra: Spectra

    @cached_property
    def rows(self) -> list[table1.Row]:
        """The rows of Table 1."""
        return table1.paper_rows(self.results)

    @cached_property
    def timings(self) -> Timings | None:
        """What `make bench` measured, the user's own or else the reference's, read once."""
        root = self.results.root
        return find(root) if root is not None else None

    def _summary(self, key: Key, source: str) -> Summary | None:
        """Runs of one source; on the paper's data sets only those as long as the paper's."""
        return self.results.as_long(key, source, paper.iterations(key.dataset))

    def accuracy(self, key: Key) -> Summary | None:
        """Final accuracies by seed: the user's own, else the reference's."""
        return self._summary(key, OWN) or self._summary(key, REFERENCE)

    def runs(self, key: Key) -> list[Run]:
        """The runs behind `accuracy`."""
        summary = self.accuracy(key)
        return [] if summary is None else self.results.finished_runs(summary, key)

    def differences(self, key: Key, other: Key) -> Differences | None:
        """Final accuracy of `key` minus that of `other`, by the seeds that one source has of both.

        The user's own runs where there are such, else the reference's.
        """
        for source in (OWN, REFERENCE):
            one, two = self._summary(key, source), self._summary(other, source)
            if one is None or two is None or one.iterations != two.iterations:
                continue
            seeds = sorted(one.by_seed.keys() & two.by_seed.keys())
            if seeds:
                values = (one.by_seed[seed] - two.by_seed[seed] for seed in seeds)
                return Differences(source, tuple(values))
        return None

    def some_run(self, net: str, dataset: str | None = None, method: str = "bdip") -> Run | None:
        """Any finished run of a net with a method's own settings, to read these from."""
        for run in self.results.runs:
            fits = run.finished and run.key.net == net and run.key.method == method
            if fits and dataset in (None, run.key.dataset):
                return run
        return None


def key_of(claim: Claim) -> Key:
    """Net, data set, config and method that a claim's subject names."""
    subject = claim.subject
    column = subject.get("column", "dense")
    method = subject.get("method") or (methods.methods_of_column(column) or (column,))[0]
    return Key(subject["net"], subject["dataset"], subject.get("config"), method)


def missing(key: Key, why: str = "") -> Finding:
    """Not run, with the command that makes the run."""
    command = None
    if key.config is not None:
        command = methods.train_command(key.net, key.dataset, key.config, key.method, seed=1)
    return Finding(NOT_RUN, why=why, command=command or REPRODUCE)


def half_digit(printed: str) -> float:
    """Half a unit of the last printed digit: 0.005 for 99.11, 0.000005 for 6.6 × 10^-4.

    A fraction of a power of two, such as 2^-7, is taken as exact.
    """
    found = re.search(r"\d[\d,]*(?:\.(\d+))?", printed)
    if found is None or re.search(r"\d\^-?\d", printed.partition("10^")[0]):
        return 0.0
    power = re.search(r"10\^(-?\d+)", printed)
    return 0.5 * 10.0 ** ((int(power[1]) if power else 0) - len(found[1] or ""))


def spread_text(values: Sequence[float], digits: int = 3) -> str:
    """``9.90 ± 0.01 (3 seeds)``."""
    return f"{words.mean_sd(values, digits)} ({words.seeds(len(values))})"


def judge_number(
    claim: Claim,
    values: Sequence[float],
    direction: bool,
    direction_words: str,
    ours: str | None = None,
    source: str = "",
    other_data: float = 0.0,
) -> Finding:
    """A printed number beside ours, by seed.

    It holds where ours and the printed value differ by at most two standard deviations of what
    such a difference has by chance, sd sqrt(1 + 1/n), and half a printed digit (the paper's run is
    one more run); failing that, or with one seed, `direction` decides. Two seeds that lie so far
    apart that they reach a printed value which `direction` calls wrong decide nothing.
    other_data: standard deviation of what our testing on other data than the paper adds.
    """
    ours = spread_text(values) if ours is None else ours
    half = half_digit(claim.printed)
    off = abs(float(np.mean(values)) - claim.value)
    if len(values) > 1:
        sd = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / len(values))
        chance = math.hypot(sd, other_data)
        reach = half + REACH * chance
        if off <= reach and len(values) == 2 and not direction:
            apart = words.number(abs(values[0] - values[1]))
            why = f"the two seeds differ by {apart}, which decides nothing: a third does"
            return Finding(UNDECIDED, ours, why, REPRODUCE, source)
        if off <= reach:
            why = f"within ±{words.number(reach, 2)}, two standard deviations of one more run"
            return Finding(HOLDS, ours, why, source=source)
        why = f"outside ±{words.number(reach, 2)}, two standard deviations of one more run"
    else:
        why = "one seed has no spread"
        if off <= half:
            why += "; the printed digits are the same"
    verdict = DIRECTION if direction else FAILS
    told = direction_words if direction else f"it is not true that {direction_words}"
    return Finding(verdict, ours, f"{why}; {told}", source=source)


COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def judge_bound(
    claim: Claim, values: Sequence[float], ours: str | None = None, source: str = ""
) -> Finding:
    """A printed bound: every seed keeps it, or their mean does, or neither."""
    ours = spread_text(values) if ours is None else ours
    compare = COMPARE[claim.relation]
    kept = [compare(value, claim.value) for value in values]
    return judge_seeds(kept, compare(float(np.mean(values)), claim.value), ours, source=source)


def judge_seeds(
    by_seed: Sequence[bool], on_the_mean: bool, ours: str, why: str = "", source: str = ""
) -> Finding:
    """A statement that is true or not with each seed, and with the mean over seeds."""
    count = sum(map(bool, by_seed))
    told = f"true with {count} of {words.seeds(len(by_seed))}"
    why = f"{told}; {why}" if why else told
    if count == len(by_seed):
        return Finding(HOLDS if len(by_seed) > 1 else DIRECTION, ours, why, source=source)
    return Finding(DIRECTION if on_the_mean else FAILS, ours, why, source=source)


def exactly(is_so: bool, ours: str, why: str = "", source: str = "") -> Finding:
    """A setting, a count or a formula: it is so or it is not."""
    return Finding(EXACT if is_so else FAILS, ours, why, source=source)
