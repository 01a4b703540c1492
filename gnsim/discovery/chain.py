"""The whole chain: trajectories, network, messages, candidates, law, verdict, rollouts.

Each stage is a function that takes what the one before it made, so that the commands `train`,
`distill` and `discover` run the same code.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gnsim.datasets import Dataset
from gnsim.discovery.equations import search
from gnsim.discovery.law import choose, settle, true_law
from gnsim.discovery.rollouts import Progress, Rollout, roll_out
from gnsim.discovery.settings import DiscoveryConfig, check_settings
from gnsim.discovery.threads import one_thread
from gnsim.models.coupled import CoupledPairs
from gnsim.symbolic.front import Candidate
from gnsim.symbolic.law import Law
from gnsim.symbolic.messages import MessageTable
from gnsim.symbolic.select import Selection
from gnsim.training.fit import Fitted, fit


@dataclass(frozen=True)
class Discovery:
    """Everything that a run found; what the report shows and the run folder keeps."""

    dataset: Dataset
    seed: int
    config: DiscoveryConfig
    fitted: Fitted
    messages: MessageTable
    sharpened: MessageTable | None
    front: tuple[Candidate, ...]
    selection: Selection
    law: Law
    errors: Mapping[str, float]
    rollouts: Mapping[str, Rollout]
    seconds: Mapping[str, float]

    @property
    def model(self) -> CoupledPairs:
        return self.fitted.model

    @property
    def equals_truth(self) -> bool | None:
        """Whether the law found is of the true law's form; None where nobody knows the true law."""
        true = true_law(self.dataset)
        return None if true is None else self.law.equals(true)


def discover(
    dataset: Dataset,
    config: DiscoveryConfig | None = None,
    *,
    seed: int = 0,
    folder: Path | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Discovery:
    """Learns the interaction in `dataset`, distils it into a law, and checks the law.

    With a `folder`, training is resumed from it and engines leave their files there.

    Raises:
        InputError: settings that do not exist or do not fit the data.
        EngineError: no engine of symbolic regression gave any candidate.
    """
    config = config or DiscoveryConfig()
    check_settings(config)
    tell = progress or (lambda phase, done, total, remark: None)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    seconds: dict[str, float] = {}
    with _timed(seconds, "training"):
        fitted = train(dataset, config, seed, folder, _share(deadline, 0.5), tell)
    return distill(fitted, dataset, config, seed, folder, deadline, tell, seconds)


@one_thread()
def distill(
    fitted: Fitted,
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
    seconds: dict[str, float] | None = None,
) -> Discovery:
    """All that follows training; `seconds` are those that went before.

    Raises:
        EngineError: no engine of symbolic regression gave any candidate.
    """
    seconds = dict(seconds or {})
    with _timed(seconds, "search"):
        found = search(fitted.model, dataset, config, seed, folder, deadline, tell)
    with _timed(seconds, "selection"):
        selection = choose(fitted.model, found.front, dataset, config, tell, deadline)
    with _timed(seconds, "refit and verdict"):
        law, errors = settle(fitted.model, selection, dataset, config, tell)
    with _timed(seconds, "rollouts"):
        rollouts = roll_out(fitted.model, law, dataset.test, config, tell)
    return Discovery(
        dataset,
        seed,
        config,
        fitted,
        found.messages,
        found.sharpened,
        found.front,
        selection,
        law,
        errors,
        rollouts,
        seconds,
    )


@one_thread()
def train(
    dataset: Dataset,
    config: DiscoveryConfig,
    seed: int,
    folder: Path | None,
    deadline: float | None,
    tell: Progress,
) -> Fitted:
    """The network and its hidden couplings, from the training and validation trajectories.

    With a `folder`, the network is there as ``model.ckpt`` when this returns.
    """

    def relay(phase: str, step: int, total: int, error: float) -> None:
        tell(phase, step, total, f"validation error {error:.2g}" if error < 1e9 else "")

    fitted = fit(
        dataset.train,
        dataset.valid,
        config.training,
        seed,
        folder,
        dataset.content_hash,
        relay,
        deadline,
    )
    if folder is not None and fitted.leads:
        fitted.save(folder / "model.ckpt", dataset.content_hash)
    return fitted


def _share(deadline: float | None, share: float) -> float | None:
    now = time.monotonic()
    return None if deadline is None else now + share * (deadline - now)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - begun
