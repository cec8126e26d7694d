"""Names of configurations: `(b1,...,bn)-BD_m`, the paper's notation.

`n` inner product layers have `b1` ... `bn` blocks, and the network has `m` layers with weights
(convolutions and inner products) in all.
"""

import re
from dataclasses import dataclass

from scripts.errors import UserError

_NUMBER = r"[1-9][0-9]{0,8}"
_NAME = re.compile(
    rf"\s*\(\s*({_NUMBER}(?:\s*,\s*{_NUMBER})*)\s*\)\s*-\s*BD\s*_\s*({_NUMBER})\s*", re.ASCII
)


@dataclass(frozen=True)
class Config:
    """`blocks[i]` is the number of blocks of inner product layer i; `layers` is m."""

    blocks: tuple[int, ...]
    layers: int

    def __str__(self) -> str:
        """Return the canonical name, without spaces."""
        return f"({','.join(map(str, self.blocks))})-BD_{self.layers}"


def parse_config(name: str) -> Config:
    """Read a name such as `(10,1)-BD_4`; spaces between its parts are allowed.

    Raises UserError on anything else, and where there are more inner product layers than layers.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(
            f"the config '{name}' is not of the form (b1,b2)-BD_m with whole numbers from 1 up; "
            'write for instance "(10,1)-BD_4", with the quotes in a shell'
        )
    blocks = tuple(int(number) for number in match[1].split(","))
    layers = int(match[2])
    if layers < len(blocks):
        raise UserError(
            f"the config '{name}' gives blocks for {len(blocks)} inner product layers, but says "
            f"that the network has only {layers} layers; BD_m counts the convolutions too"
        )
    return Config(blocks, layers)
