"""Samples of messages: the table that an engine of symbolic regression searches."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from gnsim.models.pairwise import Messages
from gnsim.state import State
from gnsim.windows import WindowSampler

_STATES = 400
_LEAST = 10


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


def sample_messages(
    model: SendsMessages, sampler: WindowSampler, count: int, seed: int
) -> MessageTable:
    """At most `count` messages from states spread over a trajectory.

    An edge is drawn with the share that it has in the pull on its bodies: what the data say about
    it, and so how well a network can know it. Attributes that are equal for all bodies, and edges
    without a finite force, are left out.

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
    weights = messages.share[usable].double()
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
