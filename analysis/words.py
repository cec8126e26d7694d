"""Numbers as the report writes them."""

from collections.abc import Sequence

import numpy as np

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float, digits: int = 3) -> str:
    """Significant digits: ``6.61 × 10⁻⁴`` below a thousandth, else ``0.0358``, ``96.2``."""
    if value == 0:
        return "0"
    exponent = int(np.floor(np.log10(abs(value))))
    if exponent < -3:
        mantissa = f"{value / 10.0**exponent:.{digits - 1}f}"
        return f"{mantissa} {TIMES} 10{str(exponent).translate(_UP)}".replace("-", MINUS)
    return f"{value:.{max(0, digits - 1 - exponent)}f}".replace("-", MINUS)


def mean_sd(values: Sequence[float] | np.ndarray, digits: int = 3) -> str:
    """``9.90 ± 0.01``, digits of both as those of the mean; one value has no spread."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if values.size < 2:
        return number(mean, digits)
    sd = float(values.std(ddof=1))
    exponent = int(np.floor(np.log10(abs(mean)))) if mean else 0
    if exponent < -3:
        scale = 10.0**exponent
        power = str(exponent).translate(_UP)
        inside = f"{mean / scale:.{digits - 1}f} ± {sd / scale:.{digits - 1}f}"
        return f"({inside}) {TIMES} 10{power}".replace("-", MINUS)
    places = max(0, digits - 1 - exponent)
    return f"{mean:.{places}f} ± {sd:.{places}f}".replace("-", MINUS)


def percent(value: float, digits: int = 1) -> str:
    """A fraction as ``+1.2%`` with a true minus sign; no sign where that shows zero."""
    text = f"{100 * value:+.{digits}f}"
    return f"{text if float(text) else text[1:]}%".replace("-", MINUS)


def count(number: int, noun: str) -> str:
    """``1 number``, ``5 numbers``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def seeds(number: int) -> str:
    return count(number, "seed")


def listing(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]
