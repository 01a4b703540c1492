"""How a model is trained; every default in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `gnsim.training.fit`.

    `window` is the number of frame intervals that the loss integrates over, 0 for as few as the
    noise of the data allows; `coupling` a name of
    `gnsim.models.coupled.COUPLINGS` or ``auto``, which tries them for `pilot_steps` each; `terms`
    are names of `gnsim.models.terms.Term`, joined by commas, ``none``, or ``auto``, which tries all
    and keeps those that held-out windows ask for;
    `pairs_per_batch` sets how many windows make a batch, whatever the number of bodies;
    `precision` is that of positions and momenta, the layers of the network have single.
    Training ends after `steps`, or when `patience` validations in a row brought nothing better.
    """

    hidden: int = 32
    steps: int = 1500
    pilot_steps: int = 150
    window: int = 0
    integrator: str = "yoshida4"
    substeps: int = 1
    pairs_per_batch: int = 2000
    learning_rate: float = 1e-2
    validate_every: int = 100
    patience: int = 12
    coupling: str = "auto"
    terms: str = "auto"
    precision: str = "float64"
