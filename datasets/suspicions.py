"""What may be right but looks wrong: too few frames, odd velocities, absent units."""

from collections.abc import Iterator

import numpy as np
import torch

from gnsim.datasets.findings import Finding
from gnsim.datasets.places import of_places
from gnsim.datasets.raw import Raw
from gnsim.datasets.splits import LEAST_FRAMES, LEAST_STILL, LEAST_SYSTEMS, cuts
from gnsim.datasets.velocities import POINTS, estimate, stencils, unwrapped
from gnsim.noise import noise
from gnsim.windows import uneven_frame

#: relative disagreement of given velocities with differences of positions that is worth a word
DISAGREEMENT = 0.01
#: and so many times what noise makes of their difference
_NOISE_BOUND = 2.0
#: share of the spread of all numbers below which noise is rounding
_ROUNDING = 1e-6
#: numbers that the comparison of velocities looks at
_SAMPLE = 2**20
#: attributes that are whole numbers, and how these are given
_KINDS = {
    "particle_type": "number the kinds of particles: 0, 1, ...",
    "fixed": "give 1 to bodies that are held or driven, and 0 to all others",
}


def suspicions(raw: Raw) -> list[Finding]:
    """Warnings and notes on data that has no errors."""
    looks = (_short, _uneven, _velocities, of_places, _kinds, _units)
    return [finding for look in looks for finding in look(raw)]


def seen_noise(raw: Raw) -> tuple[float, float]:
    """White noise of positions and of velocities, that of the median body; zero where none is seen.

    In arrays without errors, at even times: uneven ones make differences of any motion. Rounding to
    single precision is none.
    """
    if len(raw.t) > 1 and uneven_frame(torch.from_numpy(raw.t)) is not None:
        return 0.0, 0.0
    q = unwrapped(raw.q[_sample(raw)], raw.box)
    v = None if raw.v is None else raw.v[_sample(raw)]
    of_q, of_v = (0.0 if x is None else _noise(x) for x in (q, v))
    return of_q, of_v


def _noise(values: np.ndarray) -> float:
    found = float(noise(torch.from_numpy(values), 1).median())
    return found if found > _ROUNDING * float(np.std(values)) else 0.0


def _sample(raw: Raw) -> slice:
    return slice(0, max(9, _SAMPLE // raw.q[0].size))


def _short(raw: Raw) -> Iterator[Finding]:
    """Few trajectories are cut in time, into parts that each have to be long enough."""
    frames, systems = len(raw.t), len(raw.counts)
    found = f"{frames} frame(s) of {systems} trajectories"
    if systems < LEAST_SYSTEMS:
        if frames < LEAST_FRAMES:
            wanted = f"at least {LEAST_FRAMES}, to be cut in time for training, choice and test"
            remedy = f"give longer trajectories, or at least {LEAST_SYSTEMS} of them"
            yield Finding("warning", raw.spelled("t"), found, wanted, remedy, stops_training=True)
            return
        frames -= cuts(frames, least=2)[1]
        found += f", {frames} in the shortest part"
    if raw.v is None and frames < LEAST_STILL:
        wanted = f"at least {LEAST_STILL} where there are no velocities"
        remedy = f"give longer trajectories, or '{raw.spelled('v')}'"
        yield Finding("warning", raw.spelled("t"), found, wanted, remedy, stops_training=True)
    elif raw.v is None and frames < POINTS:
        wanted = f"at least {POINTS} in a part where velocities have to be estimated"
        remedy = f"give longer trajectories, or '{raw.spelled('v')}'"
        yield Finding("warning", raw.spelled("t"), found, wanted, remedy)


def _uneven(raw: Raw) -> Iterator[Finding]:
    """Such a file can be read; whoever trains on it is refused."""
    frame = uneven_frame(torch.from_numpy(raw.t)) if len(raw.t) > 1 else None
    if frame is not None:
        steps = np.diff(raw.t)
        found = f"a step of {steps[frame - 1]:.6g} among steps of {np.median(steps):.6g}"
        remedy = (
            "resample at equal intervals, for gnsim discover and gnsim train refuse it as it is"
        )
        yield Finding(
            *("warning", raw.spelled("t"), found, "even steps", remedy, f"frame {frame}"),
            stops_training=True,
        )


def _velocities(raw: Raw) -> Iterator[Finding]:
    """Compare with an estimate of eighth order, trusted as far as the sixth order agrees.

    And as far as noise of positions and of velocities allows.
    """
    if raw.v is None or len(raw.t) < 9:
        return
    t, q, v = (x[_sample(raw)] for x in (raw.t, raw.q, raw.v))
    of_q, of_v = seen_noise(raw)
    best, rough = (estimate(t, q, raw.box, points)[4:-4] for points in (9, 7))
    speed = _median(best)
    apart = _median(v[4:-4] - best)
    of_estimate = of_q * _amplified(t)
    by_noise = _NOISE_BOUND * (q.shape[-1] * (of_estimate**2 + of_v**2)) ** 0.5
    if apart > max(DISAGREEMENT * speed, 5 * _median(best - rough), by_noise):
        share = apart / speed if speed else np.inf
        found = f"{share:.1%} of the speed away from the change of positions (median speed "
        found += f"{_median(v):.4g} against {speed:.4g})"
        remedy = (
            f"check the units of {raw.spelled('v')} and {raw.spelled('t')}, or leave velocities out"
        )
        yield Finding("warning", raw.spelled("v"), found, f"within {DISAGREEMENT:.0%}", remedy)


def _kinds(raw: Raw) -> Iterator[Finding]:
    """Attributes that stand for one of several things."""
    for name, remedy in _KINDS.items():
        values = raw.attributes.get(name, np.zeros(1))
        for node in np.flatnonzero((values != np.round(values)) | (values < 0))[:1].tolist():
            wanted = "a whole number from 0 on"
            yield Finding("warning", name, str(values[node]), wanted, remedy, raw.place(node))


def _amplified(t: np.ndarray) -> float:
    """Noise of an estimated velocity for a unit of noise in positions; usually."""
    _, weights = stencils(t, np.arange(POINTS // 2, len(t) - POINTS // 2))
    # the frame's own position is subtracted from all others
    own = weights.sum(1, keepdims=True)
    return float(np.median(np.linalg.norm(np.hstack([weights, own]), axis=1)))


def _median(vectors: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(vectors, axis=-1)))


def _units(raw: Raw) -> Iterator[Finding]:
    absent = [f"units_{part}" for part in ("length", "time") if not getattr(raw.units, part)]
    if absent:
        remedy = "add short strings such as 'm' and 's' to have results in units"
        yield Finding("note", " and ".join(absent), "nothing", "names of units", remedy)
