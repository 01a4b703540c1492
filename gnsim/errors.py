"""Exit codes, the exceptions that stand for them, and the one line that a user sees."""

import errno
import traceback
from collections.abc import Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """What the `gnsim` command tells the shell."""

    DONE = 0
    BAD_INPUT = 2
    DIVERGED = 3
    OUT_OF_RESOURCES = 4
    FOLDER_HELD = 5
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class InputError(ValueError):
    """Wrong input or usage: name, what was wanted, what came, the remedy."""


class NonFiniteError(RuntimeError):
    """A loss, a gradient or a weight is not finite."""


class OutOfTimeError(RuntimeError):
    """The time limit was reached before there was a result."""


class RunLockedError(RuntimeError):
    """Another run is writing to the folder."""


# By name, so that to report an error imports neither torch nor the integrators; the first class
# of the error's own ancestry that stands here decides.
_CODE_OF = {
    "gnsim.errors.NonFiniteError": ExitCode.DIVERGED,
    "gnsim.integrators.base.IntegrationError": ExitCode.DIVERGED,
    "gnsim.errors.OutOfTimeError": ExitCode.OUT_OF_RESOURCES,
    "gnsim.symbolic.engines.base.EngineError": ExitCode.OUT_OF_RESOURCES,
    "builtins.MemoryError": ExitCode.OUT_OF_RESOURCES,
    "builtins.TimeoutError": ExitCode.OUT_OF_RESOURCES,
    "torch.OutOfMemoryError": ExitCode.OUT_OF_RESOURCES,
    "gnsim.errors.RunLockedError": ExitCode.FOLDER_HELD,
    "builtins.ValueError": ExitCode.BAD_INPUT,
    "builtins.FileNotFoundError": ExitCode.BAD_INPUT,
    "builtins.FileExistsError": ExitCode.BAD_INPUT,
    "builtins.IsADirectoryError": ExitCode.BAD_INPUT,
    "builtins.NotADirectoryError": ExitCode.BAD_INPUT,
    "builtins.PermissionError": ExitCode.BAD_INPUT,
    "builtins.KeyboardInterrupt": ExitCode.INTERRUPTED,
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE}


def exit_code(error: BaseException) -> ExitCode:
    """The exit code that `error` stands for; INTERNAL for what nobody foresaw."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return ExitCode.OUT_OF_RESOURCES
    if "DefaultCPUAllocator: can't allocate memory" in str(error):
        return ExitCode.OUT_OF_RESOURCES
    codes = (_CODE_OF[name] for name in _ancestry(error) if name in _CODE_OF)
    return next(codes, ExitCode.INTERNAL)


def report(error: BaseException, debug: bool = False) -> str:
    """What goes to stderr: one line, with the traceback before it only where `debug` asks."""
    line = f"gnsim: {_prefix(error)}{_one_line(error)}"
    if debug:
        return "".join(traceback.format_exception(error)) + line
    if exit_code(error) is ExitCode.INTERNAL:
        return f"{line} (an internal error; run again with --debug for the traceback)"
    return line


def _ancestry(error: BaseException) -> Iterator[str]:
    return (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)


def _prefix(error: BaseException) -> str:
    code = exit_code(error)
    if code is ExitCode.INTERNAL:
        return f"{type(error).__name__}: "
    return "out of memory: " if isinstance(error, MemoryError) else ""


def _one_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    # control characters in a name from a file must not reach the terminal
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
