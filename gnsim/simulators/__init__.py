"""Learned simulators in run folders: trained there, and evaluated on held-out trajectories."""

from gnsim.simulators.evaluation import Evaluation, Row, evaluate
from gnsim.simulators.protocol import RolloutProtocol
from gnsim.simulators.recipe import SimulatorRecipe, SimulatorSettings
from gnsim.simulators.runs import evaluate_in, roll_out_in, train_simulator_into
from gnsim.simulators.trained import TrainedSimulator

__all__ = [
    "Evaluation",
    "RolloutProtocol",
    "Row",
    "SimulatorRecipe",
    "SimulatorSettings",
    "TrainedSimulator",
    "evaluate",
    "evaluate_in",
    "roll_out_in",
    "train_simulator_into",
]
