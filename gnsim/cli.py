"""The command ``gnsim``: what there is to say on the command line, and how it ends.

Each command is a function of `gnsim.commands`, thin over the library, which it imports inside, so
that ``gnsim --help`` does not wait for torch.
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from gnsim import __version__
from gnsim.commands import data, discover, distill, doctor, evaluate, rollout, settings, train
from gnsim.errors import ExitCode, exit_code, report

app = typer.Typer(
    name="gnsim",
    help="From trajectories of interacting bodies to a simulator and to the law that moves them.",
    no_args_is_help=True,
    # paragraphs are filled to the width of the terminal
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("discover")(discover.discover)
app.command("train")(train.train)
app.command("distill")(distill.distill)
app.command("rollout")(rollout.rollout)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(data.app, name="data")
app.command("settings")(settings.settings)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"gnsim {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    """Options of the command itself come before the name of what it is to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: one line on stderr and the exit code of `gnsim.errors`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; the message of an error goes to stderr."""
    try:
        # a number comes from typer.Exit, anything else is what a command returned
        result = app(list(arguments), standalone_mode=False)
    except typer.TyperException as error:
        if message := " ".join(error.format_message().split()):  # none after the help page
            print(f"gnsim: {message}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except Exception as error:
        return _failed(error, arguments)
    if result == ExitCode.INTERRUPTED:  # which is what typer makes of KeyboardInterrupt
        return _failed(KeyboardInterrupt(), arguments)
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: BaseException, arguments: Sequence[str]) -> ExitCode:
    print(report(error, debug="--debug" in arguments), file=sys.stderr)
    return exit_code(error)


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack, so that what is open is closed and a lock is given back."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print("gnsim: terminated", file=sys.stderr)
    raise SystemExit(ExitCode.TERMINATED)
