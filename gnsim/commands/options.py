"""The options that commands share, so that each is spelt, checked and explained once."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(
        help="A built-in name (see `gnsim data list`), a file of yours, or a folder with train.h5, "
        "valid.h5 and test.h5."
    ),
]


def _settings(which: str) -> typer.models.ArgumentInfo:
    return typer.Argument(metavar="KEY=VALUE", help=which)


#: of a source alone, of a run, and of what follows training
Settings = Annotated[
    list[str] | None,
    _settings("Settings of the source (see `gnsim data list`), as seed=1."),
]
RunSettings = Annotated[
    list[str] | None,
    _settings(
        "Settings of data, training, search and rollouts (see `gnsim settings`), as "
        "training.steps=500."
    ),
]
SearchSettings = Annotated[
    list[str] | None,
    _settings("Settings of search and rollouts (see `gnsim settings`), as symbolic.runs=4."),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="pairs, mlp, interaction, delta, ogn, hogn, hogn-separable or gns.",
    ),
]
RunOut = Annotated[
    Path | None,
    typer.Option("--out", help="The folder of the run; runs/SOURCE-SEED if left out."),
]
Run = Annotated[
    Path, typer.Argument(help="The folder of a run, which gnsim discover or gnsim train made.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=2**32 - 1, metavar="N", help="Same seed, same bits on one machine."
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        min=1.0,
        metavar="SECONDS",
        help="Time to train and to search for equations; the best so far then counts. Short "
        "trainings that look for what is hidden, 5 s of search, the last refit, the verdict and "
        "the rollouts come on top: give a minute at least.",
    ),
]
Beyond = Annotated[
    Path | None,
    typer.Option(
        "--beyond",
        metavar="LAW",
        help="A law.json: search what this law leaves over, into runs/SOURCE-SEED-beyond.",
    ),
]
# read from the command line itself by gnsim.cli, for it must work where parsing fails as well
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
