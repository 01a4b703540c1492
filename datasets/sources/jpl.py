"""The solar system as JPL's ephemeris DE421 gives it: positions, velocities, and no masses.

DE421 (Folkner, Williams and Boggs, IPN Progress Report 42-178, 2009) is a fit of the equations of
motion to ranging, tracking and optical data, stored as Chebyshev polynomials. Positions are
barycentric, in the axes of the ICRF; velocities are the derivatives of the same polynomials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources, util
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from jplephem.spk import SPK

from gnsim.datasets.dataset import Dataset, Source
from gnsim.datasets.settings import positive, require, whole
from gnsim.state import Trajectory, Units

#: kilometres in the astronomical unit of DE421 (constant AU of its header)
AU = 149597870.6996262
#: Julian date of J2000, the zero of time here, in Barycentric Dynamical Time (TDB)
J2000 = 2451545.0

#: NAIF codes of the segments whose sum is the barycentric position of a body
SEGMENTS: dict[str, tuple[tuple[int, int], ...]] = {
    "Sun": ((0, 10),),
    "Mercury": ((0, 1), (1, 199)),
    "Venus": ((0, 2), (2, 299)),
    "Earth": ((0, 3), (3, 399)),
    "Moon": ((0, 3), (3, 301)),
    "Mars": ((0, 4),),
    "Jupiter": ((0, 5),),
    "Saturn": ((0, 6),),
    "Uranus": ((0, 7),),
    "Neptune": ((0, 8),),
    "Pluto": ((0, 9),),
}
NAMES = tuple(SEGMENTS)

#: constants of the package ``de421`` that hold the GM of a body or of its system
_GM = {
    "Sun": "GMS",
    **dict.fromkeys(("Earth", "Moon"), "GMB"),
    **{name: f"GM{code}" for name, ((_, code), *_) in SEGMENTS.items() if code not in (3, 10)},
}


@dataclass(frozen=True)
class SolarSystemSettings:
    """Spans in calendar years, from 1 January of the first to before 1 January of the second.

    `cadence` is the time between frames in days.
    """

    train: tuple[int, int] = (1900, 2000)
    valid: tuple[int, int] = (2000, 2010)
    test: tuple[int, int] = (2010, 2020)
    cadence: float = 0.5

    def __post_init__(self) -> None:
        positive(self.cadence, "cadence")
        spans = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cadence"}
        for name, span in spans.items():
            require(len(tuple(span)) == 2, name, "a first and a last year", span)
            whole(span[0], name, least=1)
            whole(span[1], name, least=1)
            require(span[0] < span[1], name, "a first year before the last", span)
        ordered = sorted(spans.items(), key=lambda item: item[1][0])
        for (one, early), (other, late) in pairwise(ordered):
            require(early[1] <= late[0], f"{one} and {other}", "disjoint spans", (early, late))


def new_year(year: int) -> float:
    """Days from J2000 to 1 January of `year`, 0 h."""
    since = np.datetime64(f"{year:04d}-01-01", "D") - np.datetime64("2000-01-01", "D")
    return float(since.astype(int)) - 0.5


def trajectory(span: tuple[int, int], cadence: float) -> Trajectory:
    """All bodies of `NAMES` over a span of calendar years, a frame every `cadence` days.

    AU, AU/day and days (TDB) since J2000, float64; p is the velocity, as no mass is known.
    Raises ValueError where the span leaves the ephemeris or has fewer than two frames.
    """
    start, stop = new_year(span[0]), new_year(span[1])
    t = start + cadence * np.arange(np.ceil((stop - start) / cadence))
    require(len(t) >= 2, "cadence", f"a step that fits twice into {span[0]} to {span[1]}", cadence)
    q, v = ephemeris(t)
    return Trajectory(
        t=torch.from_numpy(t),
        q=torch.from_numpy(q),
        p=torch.from_numpy(v),
        batch=torch.zeros(len(NAMES), dtype=torch.long),
        units=Units(length="AU", time="day"),
        names=NAMES,
    )


def ephemeris(
    t: Float[np.ndarray, " time"],
) -> tuple[Float[np.ndarray, "time bodies 3"], Float[np.ndarray, "time bodies 3"]]:
    """Positions (AU) and velocities (AU/day) of `NAMES` at days since J2000.

    Whole and fractional days go apart into the polynomials, so that no digit of `t` is lost.
    """
    q, v = np.zeros((2, len(t), len(NAMES), 3))
    file = resources.files("skyfield_data") / "data" / "de421.bsp"
    with resources.as_file(file) as path, SPK.open(str(path)) as kernel:
        _require_covered(t, kernel)
        days = np.floor(t)
        for pair in sorted({pair for pairs in SEGMENTS.values() for pair in pairs}):
            position, velocity = kernel[pair].compute_and_differentiate(J2000 + days, t - days)
            for body, pairs in enumerate(SEGMENTS.values()):
                if pair in pairs:
                    q[:, body] += position.T
                    v[:, body] += velocity.T
    return q / AU, v / AU


def _require_covered(t: Float[np.ndarray, " time"], kernel: SPK) -> None:
    first = max(segment.start_jd for segment in kernel.segments) - J2000
    last = min(segment.end_jd for segment in kernel.segments) - J2000
    if t[0] < first or t[-1] > last:
        covered, asked = (f"{_date(a)} to {_date(b)}" for a, b in ((first, last), (t[0], t[-1])))
        raise ValueError(
            f"span: wanted dates within {covered}, which DE421 covers, found {asked}; "
            "choose calendar years from 1900 to 2053"
        )


def _date(t: float) -> str:
    return str(np.datetime64("2000-01-01", "D") + int(np.floor(t + 0.5)))


def reference_gm() -> Mapping[str, np.ndarray]:
    """GM of every body in AU^3/day^2 from the package ``de421``; empty where it is not installed.

    For scoring only. Earth and Moon share the constant GMB in the ratio EMRAT.
    """
    if util.find_spec("de421") is None:
        return {}
    with (resources.files("de421") / "constants.npy").open("rb") as stream:
        table = np.load(stream, allow_pickle=False)
    constants = {_text(name).strip(): float(value) for name, value in table.tolist()}
    ratio = constants["EMRAT"]
    share = {"Earth": ratio / (1 + ratio), "Moon": 1 / (1 + ratio)}
    return {"GM": np.array([constants[_GM[name]] * share.get(name, 1.0) for name in NAMES])}


def _text(name: bytes | str) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name


def _build(settings: SolarSystemSettings) -> Dataset:
    spans = (settings.train, settings.valid, settings.test)
    train, valid, test = (trajectory((span[0], span[1]), settings.cadence) for span in spans)
    return Dataset(
        name="solar-system",
        train=train,
        valid=valid,
        test=test,
        description=SOURCE.description,
        reference=reference_gm(),
        law="mass_i * mass_j / r**2",
    )


SOURCE = Source(
    name="solar-system",
    description="Sun, planets, Moon and Pluto from JPL's ephemeris DE421; masses are not given",
    settings=SolarSystemSettings,
    build=_build,
)
