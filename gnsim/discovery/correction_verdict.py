"""Whether held-out data bear out a correction that was found beside a law."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnsim.models.terms import Term
from gnsim.symbolic.corrections.search import TELLING, Further
from gnsim.symbolic.corrections.statement import DETERMINED, vague
from gnsim.symbolic.law import Constant, Verdict

#: share of itself by which held-out errors must fall, and by which that of no body may rise
_FALL, _RISE = 0.1, 1.1
#: of the body that it explains best, so much may be left of what it explains; what imitates another
#: force leaves more
_LEFT = 0.05
#: by how much larger errors may be than on the training data
_APART = 2.0
#: a further force that leaves a smaller share of what is left of a body is one that is missing
_MISSING = 0.3


@dataclass(frozen=True)
class Evidence:
    """What a verdict is reached on.

    `left` are held-out errors of each body beside the `law` alone and `corrected`, `off` the errors
    of positions of rollouts over the held-out data; `on_training` are errors there, `noise` what is
    noise of an error (NaN where nobody knows); bodies count in means by their `weight`, and those
    that give too little evidence do not object. `new` are the constants of the correction, `rival`
    is a force on each body by itself that explains no less, and `further` the force of pairs that
    would explain most of what the correction leaves of a body.
    """

    left: Mapping[str, Float[Tensor, " bodies"]]
    off: Mapping[str, Float[Tensor, " bodies"]]
    on_training: Float[Tensor, " bodies"]
    noise: Float[Tensor, " bodies"]
    weight: Float[Tensor, " bodies"]
    new: Mapping[str, Constant]
    rival: Term | None
    further: Further | None

    @property
    def telling(self) -> Bool[Tensor, " bodies"]:
        """Which bodies may object."""
        return self.weight >= TELLING


def correction_verdict(evidence: Evidence) -> Verdict:
    """``verified`` where it passes all checks, else ``candidate``; what is noise tells nothing."""
    before, after = evidence.left["law"], evidence.left["corrected"]
    noise = evidence.noise.nan_to_num(0.0)
    fall = 1 - _mean_ratio(after, before, evidence.weight)
    grown = torch.maximum(after, noise) / torch.maximum(before, noise)
    rise = float(grown[evidence.telling].max())
    seen, fitted = (torch.maximum(x, noise) for x in (after, evidence.on_training))
    apart = _mean_ratio(seen, fitted, evidence.weight)
    share = _share_left(*(x[evidence.telling] for x in (before, after, noise)))
    off = _mean_ratio(evidence.off["corrected"], evidence.off["law"], evidence.weight)
    doubtful, rival, further = vague(evidence.new), evidence.rival, evidence.further
    beside = 1.0 if further is None else _share_beside(further, after, noise)
    checks = [
        (
            fall >= _FALL,
            f"the held-out error falls by {fall:.0%} (at least {_FALL:.0%} wanted)",
        ),
        (
            rise <= _RISE,
            f"that of the body that gains least is {rise:.2g} times what it was (at most "
            f"{_RISE:g} wanted)",
        ),
        (
            share <= _LEFT,
            f"of the body that it explains best, {share:.2g} of what the law left is left, beyond "
            f"noise (at most {_LEFT:g} wanted)",
        ),
        (
            apart <= _APART,
            f"held-out errors are {apart:.2g} times those on the training data (at most "
            f"{_APART:g} wanted)",
        ),
        (
            off <= _RISE,
            f"rolled out over the held-out data, positions are off by {off:.2g} times what they "
            f"are by the law alone (at most {_RISE:g} wanted)",
        ),
        (
            not doubtful,
            f"new constants that are not {DETERMINED:g} standard errors from zero: "
            f"{', '.join(doubtful) or 'none'} (none wanted)",
        ),
        (
            beside >= _MISSING,
            f"no further force of pairs leaves less than {beside:.2g} of what is left of a body "
            f"that it explains (at least {_MISSING:g} wanted)",
        ),
        (
            rival is None,
            "no force on each body by itself explains as much"
            if rival is None
            else f"{rival.name}, a force on each body by itself, explains no less",
        ),
    ]
    reasons = tuple(f"{'passed' if ok else 'failed'}: {what}" for ok, what in checks)
    passed = all(ok for ok, _ in checks)
    return Verdict(passed, "verified" if passed else "candidate", reasons)


def _mean_ratio(one: Tensor, other: Tensor, weight: Tensor) -> float:
    """Geometric mean over bodies of the ratio of sizes; infinite where `one` is not finite."""
    ratio = (one / other).log().nan_to_num(nan=torch.inf)
    return float(((weight * ratio).sum() / weight.sum()).exp())


def _share_beside(further: Further, after: Tensor, noise: Tensor) -> float:
    """What a further force would leave of what is left, and at least the noise of that."""
    k = further.body
    return max(further.share, float((noise[k] / after[k]).clamp_max(1.0)))


def _share_left(before: Tensor, after: Tensor, noise: Tensor) -> float:
    """Of what the law leaves of each body beyond noise, the least share that is left."""
    one, other = ((x.square() - noise.square()).clamp_min(0).sqrt() for x in (after, before))
    # chance leaves as much of the noise; a body of which nothing was left is not explained
    told = other > noise
    return float((one / other)[told].min()) if bool(told.any()) else 1.0
