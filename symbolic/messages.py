"""Samples of messages: the table that an engine of symbolic regression searches."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import sympy
import torch

from gnsim.models.pairwise import Messages
from gnsim.state import State
from gnsim.symbolic.parser import symbol
from gnsim.windows import WindowSampler

_STATES = 400
_LEAST = 10
#: a body whose pull is below this share of the usual one says little
_WEAK = 0.3
_PRODUCT, _SUM = "_product", "_sum"


def attribute_names(names: tuple[str, ...]) -> list[str]:
    """The attributes that a table with these columns has for both bodies."""
    return [name.removesuffix("_i") for name in names if name.endswith("_i")]


def _weights(messages: Messages) -> torch.Tensor:
    share = messages.share.double()
    pull = messages.force.double().abs() / share.clamp_min(torch.finfo(share.dtype).tiny)
    usual = pull[torch.isfinite(pull)].median()
    return share * pull / (pull + _WEAK * usual)


@runtime_checkable
class SendsMessages(Protocol):
    """A true, learned or distilled pair dynamics."""

    def messages(self, state: State) -> Messages: ...


@dataclass(frozen=True)
class MessageTable:
    """`X` [samples, variables] with the columns `names`, the radial force `y` [samples].

    `factor` multiplies the force by construction and is not in `y` (see `Messages`).
    """

    names: tuple[str, ...]
    X: np.ndarray
    y: np.ndarray
    factor: str

    def invariants(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names and columns of what does not change when the two bodies are exchanged.

        The distance, and the product and the sum of each attribute, by which every symmetric
        function of one attribute can be written: no engine need learn Newton's third law.
        """
        columns = dict(zip(self.names, self.X.T, strict=True))
        found = {"r": columns["r"]}
        for stem in attribute_names(self.names):
            first, second = columns[f"{stem}_i"], columns[f"{stem}_j"]
            found |= {f"{stem}{_PRODUCT}": first * second, f"{stem}{_SUM}": first + second}
        return tuple(found), np.stack(list(found.values()), 1)

    def in_attributes(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression in `invariants` as one in the attributes of the two bodies."""
        known = {}
        for stem in attribute_names(self.names):
            first, second = symbol(f"{stem}_i"), symbol(f"{stem}_j")
            known[symbol(f"{stem}{_PRODUCT}")] = first * second
            known[symbol(f"{stem}{_SUM}")] = first + second
        return expression.xreplace(known)


def sample_messages(
    model: SendsMessages, sampler: WindowSampler, count: int, seed: int
) -> MessageTable:
    """At most `count` messages from states spread over a trajectory.

    An edge is drawn with the share that it has in the pull on its bodies, and less where that pull
    is weak: what the data say about it, and so how well a network can know it. Attributes that are
    equal for all bodies, and edges without a finite force, are left out.

    Raises:
        ValueError: fewer than ten pairs of bodies in all frames, or of finite forces.
    """
    start = sampler.spread(_STATES).path[0]
    with torch.no_grad():
        messages = model.messages(start)
    usable = (torch.isfinite(messages.force) & (messages.share > 0)).nonzero().squeeze(1)
    if len(messages.r) < _LEAST:
        raise ValueError(
            f"messages: {len(messages.r)} pairs of bodies in {start.num_systems} frames that have "
            f"a next one, at least {_LEAST} wanted; give more frames, trajectories or bodies"
        )
    if len(usable) < _LEAST:
        raise ValueError(
            f"messages: {len(usable)} of {len(messages.r)} have a finite force that is not zero; "
            "train the model before it is distilled"
        )
    generator = torch.Generator().manual_seed(seed)
    weights = _weights(messages)[usable]
    drawn = torch.multinomial(weights, min(count, len(usable)), generator=generator)
    chosen = usable[drawn.sort().values]
    # an edge is stored once, but either end may be the target: no engine shall learn which is
    turned = torch.rand(len(messages.r), generator=generator) < 0.5
    columns = {"r": messages.r}
    for name, values in messages.target.items():
        if bool((values != values[0]).any()) or bool((messages.source[name] != values[0]).any()):
            columns |= {
                f"{name}_i": torch.where(turned, messages.source[name], values),
                f"{name}_j": torch.where(turned, values, messages.source[name]),
            }
    X = torch.stack([values[chosen] for values in columns.values()], 1)
    names = tuple(columns)
    return MessageTable(
        names, X.double().numpy(), messages.force[chosen].double().numpy(), messages.factor
    )
