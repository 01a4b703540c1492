"""Numbers as people read them: as many digits as their error allows, no more."""

import math
import re

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: numbers of a sentence that are no counts: with a point or an exponent
_DECIMAL = re.compile(r"(?<![\w.])\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)(?!\w|\.\d)")
_MOST_DIGITS = 4
#: powers of ten between which numbers are written out
_PLAIN = range(-2, 5)
_MOST_DECIMALS = 14


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many digits, ``2.96 × 10⁻⁴`` where it is far from one; a dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if power in _PLAIN:
        return _minus(f"{value:.{max(0, digits - 1 - power)}f}")
    return f"{_minus(f'{value / 10.0**power:.{digits - 1}f}')} {TIMES} {_ten_to(power)}"


def with_error(value: float, stderr: float | None) -> str:
    """``(2.959122 ± 0.000014) × 10⁻⁴``: two digits of the error, the value to the same place."""
    if stderr is None or not math.isfinite(stderr) or stderr <= 0 or not math.isfinite(value):
        error = "" if stderr is None else f" ± {number(stderr, 2)}"
        return f"{number(value, 8)}{error}"
    power = math.floor(math.log10(max(abs(value), stderr)))
    scale = 0 if power in _PLAIN else power
    decimals = max(0, min(_MOST_DECIMALS, scale + 1 - math.floor(math.log10(stderr))))
    scaled = (f"{x / 10.0**scale:.{decimals}f}" for x in (value, stderr))
    both = _minus(" ± ".join(scaled))
    return f"({both}) {TIMES} {_ten_to(scale)}" if scale else both


def relative(value: float | None) -> str:
    """A relative error with its sign: ``+1.2e-05``; a dash for None."""
    return DASH if value is None or not math.isfinite(value) else f"{value:+.1e}"


def signed(value: float | None) -> str:
    """A relative error of two digits with its sign: ``+1.2 × 10⁻⁵``; a dash for None."""
    plus = "+" if value is not None and value > 0 and math.isfinite(value) else ""
    return f"{plus}{number(value, 2)}"


def typeset(text: str) -> str:
    """A sentence with its numbers as `number` writes them, four digits of each at the most."""

    def written(found: re.Match[str]) -> str:
        digits = found[0].partition("e")[0].replace(".", "").lstrip("0")
        return number(float(found[0]), max(1, min(_MOST_DIGITS, len(digits))))

    return _DECIMAL.sub(written, text)


def unit_text(unit: str) -> str:
    """A unit with its powers raised: ``AU^3 day^-2`` as ``AU³ day⁻²``."""
    return re.sub(r"\^(-?\d+)", lambda power: power[1].translate(_SUPERSCRIPTS), unit)


def _ten_to(power: int) -> str:
    return f"10{str(power).translate(_SUPERSCRIPTS)}"


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
