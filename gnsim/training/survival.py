"""Which terms of a model the data need: backward elimination on held-out windows.

Errors are linear in the coefficients, so each trial without a term is a least-squares solution and
no training.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gnsim.models.coupled import CoupledPairs
from gnsim.models.terms import Term
from gnsim.training.loss import cauchy_weight, least_squares
from gnsim.training.step import Training
from gnsim.windows import Windows

#: standard errors by which the held-out error must grow without a term, and share of itself
_SIGNIFICANT, _LEAST_GAIN = 5.0, 0.002
_SMALLEST = 1e-9


@dataclass(frozen=True)
class _Rows:
    """Errors as they are without any term, and the response to each number of the model."""

    errors: Float[Tensor, "kinds rows nodes dim"]
    response: Float[Tensor, "kinds rows nodes dim numbers"]
    windows: int

    @classmethod
    def of(cls, run: Training, windows: Windows) -> "_Rows":
        with torch.no_grad():
            errors, response = run.loss.linearised(windows)
            count = run.model.num_couplings
            plain = errors + response[..., count:] @ run.model.coefficients
        return cls(plain, response, len(windows.start))

    def left(self, columns: Tensor, x: Tensor) -> Float[Tensor, " windows"]:
        """Log error of each window when these columns explain what they can with `x`."""
        size = (self.errors - self.response[..., columns] @ x).norm(dim=-1)
        logs = size.clamp_min(_SMALLEST).log().movedim(2, 0)
        return logs.reshape(self.windows, -1).mean(1)


def surviving_terms(run: Training) -> tuple[Term, ...]:
    """The terms without which held-out windows are predicted worse, beyond chance.

    From all of them, the one that is missed least is dropped, for as long as it is not missed.
    """
    train, held_out = _Rows.of(run, run.many_windows()), _Rows.of(run, run.held_out)
    kept = list(run.model.terms)
    while kept:
        before = _left(run.model, kept, train, held_out)
        losses = []
        for term in kept:
            others = [other for other in kept if other != term]
            growth = _left(run.model, others, train, held_out) - before
            error = float(growth.std()) / max(1, len(growth) - 1) ** 0.5
            losses.append(float(growth.mean()) - max(_LEAST_GAIN, _SIGNIFICANT * error))
        least = min(range(len(kept)), key=losses.__getitem__)
        if losses[least] > 0:
            break
        kept.pop(least)
    return tuple(kept)


def _left(
    model: CoupledPairs, kept: list[Term], train: _Rows, held_out: _Rows
) -> Float[Tensor, " windows"]:
    """Log errors of the held-out windows, with the numbers x solved on the training ones."""
    columns, place = list(range(model.num_couplings)), model.num_couplings
    for term in model.terms:
        count = len(term.symbols)
        columns += range(place, place + count) if term in kept else ()
        place += count
    chosen = torch.tensor(columns)
    x = least_squares(train.response[..., chosen], train.errors, cauchy_weight(train.errors))
    return held_out.left(chosen, x)
