"""SIGTERM and Ctrl-C during training: finish the step, save, then leave."""

import signal
from types import FrameType, TracebackType


class Interruption:
    """Within ``with``, the first signal is only noted; `leave` then ends as it asked to.

    The second one acts at once, as it would have without.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        try:
            self._previous = {s: signal.signal(s, self._note) for s in self._SIGNALS}
        except ValueError:  # not the main thread: signals do not arrive here
            self._previous = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
        if kind is None and self.signal is not None:  # it came after the last step
            self.leave(self.signal)

    def leave(self, number: int) -> None:
        """Deliver the signal to the handler that was there before."""
        self._restore()
        signal.raise_signal(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
