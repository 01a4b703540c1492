"""Learned simulators by name: `SIMULATORS`."""

from collections.abc import Mapping
from types import MappingProxyType

from gnsim.models.delta_gn import DeltaGN
from gnsim.models.gns import GNS
from gnsim.models.hogn import HOGN, SeparableHOGN
from gnsim.models.interaction_network import InteractionNetwork
from gnsim.models.learned import Learned
from gnsim.models.ogn import OGN
from gnsim.models.state_mlp import StateMLP

SIMULATORS: Mapping[str, type[Learned]] = MappingProxyType(
    {
        "mlp": StateMLP,
        "interaction": InteractionNetwork,
        "delta": DeltaGN,
        "ogn": OGN,
        "hogn": HOGN,
        "hogn-separable": SeparableHOGN,
        "gns": GNS,
    }
)
