"""From trajectories to a law: training, search, choice, verdict and rollouts, in one chain."""

from gnsim.discovery.beyond import Beyond, beyond
from gnsim.discovery.chain import Discovery, discover, distill, train
from gnsim.discovery.equations import search
from gnsim.discovery.law import choose, settle, true_law
from gnsim.discovery.rollouts import MEASURED_START, Progress, Rollout, roll_out
from gnsim.discovery.settings import DiscoveryConfig, RolloutConfig, SymbolicConfig, check_settings

__all__ = [
    "MEASURED_START",
    "Beyond",
    "Discovery",
    "DiscoveryConfig",
    "Progress",
    "Rollout",
    "RolloutConfig",
    "SymbolicConfig",
    "beyond",
    "check_settings",
    "choose",
    "discover",
    "distill",
    "roll_out",
    "search",
    "settle",
    "train",
    "true_law",
]
