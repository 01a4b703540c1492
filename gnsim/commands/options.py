"""The options that commands share, so that each is spelt, checked and explained once."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str, typer.Argument(help="A built-in name (see `gnsim data list`) or a file of yours.")
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, as training.steps=500."),
]
RunOut = Annotated[
    Path | None,
    typer.Option("--out", help="The folder of the run; runs/SOURCE-SEED where left out."),
]
Run = Annotated[
    Path, typer.Argument(help="The folder of a run, which gnsim discover or gnsim train made.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**63 - 1, help="Same seed, same bits on one machine.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        min=1.0,
        metavar="SECONDS",
        help="Time to train and to search for equations; the best so far then counts. Short "
        "trainings that look for hidden masses, 5 s of search, the last refit, the verdict and "
        "the rollouts come on top: give a minute at least.",
    ),
]
# read from the command line itself by gnsim.cli, for it must work where parsing fails as well
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
