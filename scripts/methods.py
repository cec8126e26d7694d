"""A way to train with settings of one's own: `ip_bdip,alpha=1e-3,iters=1000`.

The name is that of a way to train block layers or of a recipe for pruning (networks.methods);
settings follow it, each a field and its value:

- a field of `prune` (alpha, iters, keep, start, steps, threshold), for all layers that the recipe
  prunes, or with `ip1.` before it for that layer alone;
- a field of the solver that holds one number or word (base_lr, weight_decay, max_iter, ...) or
  several of them (stepvalue), in which case it may be given more than once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import UserError
from scripts.provenance import SOLVER_FIELDS_LEFT_OUT

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2
    from google.protobuf.message import Message

PRUNE_FIELDS = ("alpha", "iters", "keep", "start", "steps", "threshold")

# What is not the method's: the seed and the device have settings of their own, files are the run's,
# and what changes no result would be a second name for a run.
_NOT_SETTINGS = (*SOLVER_FIELDS_LEFT_OUT, "train_net", "test_net")


@dataclass(frozen=True)
class Method:
    """A method's name and its settings, sorted by field."""

    name: str
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{field}={value}" for field, value in self.settings)])


def parse_method(text: str) -> Method:
    """Read "name,field=value,..."; UserError where it is not of this form."""
    name, *settings = text.split(",")
    pairs = []
    for setting in settings:
        # The text becomes the name of a folder: no character that means anything there.
        match = re.fullmatch(r"([a-z0-9_]+(?:\.[a-z_]+)?)=([A-Za-z0-9_.+-]+)", setting.strip())
        if match is None:
            raise UserError(
                f"METHOD={text}: '{setting}' is not a setting; write field=value, such as "
                "ip_bdip,alpha=1e-3,iters=1000"
            )
        pairs.append((match[1], match[2]))
    # Sorted by field alone: values of one field keep their order.
    return Method(name.strip(), tuple(sorted(pairs, key=lambda pair: pair[0])))


def set_prune(recipe: caffe_pb2.NetParameter, method: Method) -> None:
    """Set the `prune` fields of `method` in a recipe's layers; UserError where they do not fit."""
    for field, value in method.settings:
        layer_name, _, name = field.rpartition(".")
        if name not in PRUNE_FIELDS:
            continue
        layers = [layer for layer in recipe.layer if layer_name in ("", layer.name)]
        if not layers:
            raise UserError(
                f"it does not prune a layer '{layer_name}', which the setting {field}={value} names"
            )
        for layer in layers:
            for param in layer.param:
                set_field(param.prune, name, value)


def set_solver(solver: caffe_pb2.SolverParameter, method: Method, prunes: bool) -> None:
    """Set the solver's fields of `method`; UserError for a field that is neither its nor `prune`'s.

    `prunes`: whether the method is a recipe, so that settings of `prune` are known to fit.
    """
    replaced: set[str] = set()
    fields = [field for field, _ in method.settings]
    for field, value in method.settings:
        known = solver.DESCRIPTOR.fields_by_name.get(field)
        if fields.count(field) > 1 and not (known is not None and known.is_repeated):
            raise UserError(f"{field} stands twice in METHOD={method}; write it once")
        if field.rpartition(".")[2] in PRUNE_FIELDS:
            if not prunes:
                raise UserError(
                    f"the method {method.name} does not prune, so that the setting {field}={value} "
                    "means nothing; leave it out"
                )
            continue
        if field not in replaced:
            if known is None or known.message_type is not None or field in _NOT_SETTINGS:
                raise UserError(
                    f"{field} of METHOD={method} is no setting; write a field of the solver, or "
                    f"one of prune's ({', '.join(PRUNE_FIELDS)})"
                )
            solver.ClearField(field)
            replaced.add(field)
        set_field(solver, field, value)


def set_field(message: Message, field: str, value: str) -> None:
    """Set a field, or append to a repeated one, from text; UserError where it is no such value."""
    from google.protobuf import text_format

    kind = message.DESCRIPTOR.fields_by_name[field]
    quoted = f'"{value}"' if kind.cpp_type == kind.CPPTYPE_STRING else value
    if not kind.is_repeated:
        message.ClearField(field)
    try:
        text_format.Merge(f"{field}: {quoted}", message)
    except text_format.ParseError as error:
        raise UserError(f"{field}={value}: {str(error).split(' : ', 1)[-1]}") from error
