"""The tests of a run: which there are, what their columns are called, what they measure.

A solver's `test_iter` and `test_state` name them, as in Caffe. A net whose state has a stage is
opened anew for each test, so that a test begins at the first record each time, and one whose
stages hold `at_end` is tested after the last iteration alone; its other stages name its columns.
(Caffe gives each data layer that is opened a number from the generator that Dropout draws from. So
such tests, at fixed iterations, are part of what decides the masks of a net with Dropout.)
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from scripts import files
from scripts.errors import UserError

AT_END = "at_end"
_FILLERS = ("weight_filler", "bias_filler", "filler")


@dataclass(frozen=True)
class NetTest:
    """A test net and how long it runs.

    `index`: its place among the nets that Caffe's solver holds, None for one with a stage, which is
    made from `file`.
    """

    prefix: str
    batches: int
    index: int | None
    level: int
    stages: tuple[str, ...]
    file: Path

    @property
    def at_end(self) -> bool:
        """Whether it is tested after the last iteration alone."""
        return AT_END in self.stages

    def open(self, solver: Any) -> Any:
        """The net, with the weights of the solver's."""
        if self.index is None:
            net = caffe.Net(str(self.file), caffe.TEST, level=self.level, stages=list(self.stages))
        else:
            net = solver.test_nets[self.index]
        net.share_with(solver.net)
        return net

    def columns(self, solver: Any) -> list[str]:
        """<prefix>_<output>, numbered where an output has several values."""
        net = self.open(solver)
        names = []
        for name in net.outputs:
            size = net.blobs[name].count
            names += [f"{self.prefix}_{name}" + (f"_{i}" if size > 1 else "") for i in range(size)]
        return names

    def means(self, solver: Any) -> list[float]:
        """Means of the net's outputs over its batches, in the order of the columns."""
        net = self.open(solver)
        totals: dict[str, np.ndarray] = {}
        for _ in range(self.batches):
            for name, value in net.forward().items():
                # float64: a sum of float32 means would lose the last digits shown
                totals[name] = totals.get(name, 0.0) + value.astype(np.float64).ravel()
        return [float(total) / self.batches for name in net.outputs for total in totals[name]]


def net_tests(solver: caffe_pb2.SolverParameter, file: Path) -> list[NetTest]:
    """The tests of a solver; nets with a stage are to be made from `file` (see `write_net`).

    Without stages, a net's columns begin with `test`, or where there are several with `test0`,
    `test1`, ... UserError where a stage can name no column, or two nets have one name.
    """
    states = list(solver.test_state) or [caffe_pb2.NetState() for _ in solver.test_iter]
    plain = sum(not state.stage for state in states)
    found: list[NetTest] = []
    for state, batches in zip(states, solver.test_iter, strict=True):
        stages = tuple(state.stage)
        if stages:
            index = None
            prefix = "_".join(stage for stage in stages if stage != AT_END) or AT_END
        else:
            index = sum(net.index is not None for net in found)
            prefix = "test" if plain == 1 else f"test{index}"
        found.append(NetTest(prefix, batches, index, state.level, stages, file))
    counts = Counter(net.prefix for net in found)
    for prefix, count in counts.items():
        if count > 1 or prefix == "train" or not re.fullmatch(r"[A-Za-z0-9_]+", prefix):
            raise UserError(
                f"a test_state of the solver has the stage '{prefix}', which cannot name columns "
                "of metrics.csv; write a name of letters, digits and _ that no other test has, "
                "and not train or test"
            )
    return found


def of_caffe(solver: caffe_pb2.SolverParameter) -> None:
    """Leave only those test nets in a solver's parameters that Caffe's solver shall hold."""
    if not solver.test_state:
        return
    plain = [
        (batches, state)
        for batches, state in zip(solver.test_iter, solver.test_state, strict=True)
        if not state.stage
    ]
    del solver.test_iter[:], solver.test_state[:]
    for batches, state in plain:
        solver.test_iter.append(batches)
        solver.test_state.append(state)


def write_net(net: caffe_pb2.NetParameter, file: Path) -> None:
    """Write the net that test nets with a stage are made from: its weights need no fillers.

    Fillers would take time, and draw from the generator that training draws from.
    """
    copy = caffe_pb2.NetParameter()
    copy.CopyFrom(net)
    for layer in copy.layer:
        for _, parameter in layer.ListFields():
            for name in _FILLERS:
                if name in getattr(getattr(parameter, "DESCRIPTOR", None), "fields_by_name", ()):
                    parameter.ClearField(name)
    files.write_text(file, text_format.MessageToString(copy))
