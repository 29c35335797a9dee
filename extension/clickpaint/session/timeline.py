"""Where the user was after each step, and the way back and forth among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickpaint.errors import InvalidInput
from clickpaint.session.steps import State

_MOST_STEPS = 200
_MOST_ANSWERS = 16  # how many clicks back `choose` and `previous` still work after an undo


class Timeline:
    """States in their order, and which of them is shown. Whoever shares one between threads locks it.

    Args:
        states: at least one.
        index: of the one shown.

    Raises:
        ValueError: there is no such state.
    """

    def __init__(self, states: Sequence[State], index: int = 0) -> None:
        if not 0 <= index < len(states):
            raise ValueError(f"there is no state {index}")
        self._states, self.index = [*states], index

    def __iter__(self) -> Iterator[State]:
        return iter(self._states)

    @property
    def shown(self) -> State:
        return self._states[self.index]

    @property
    def can_undo(self) -> bool:
        return self.index > 0

    @property
    def can_redo(self) -> bool:
        return self.index + 1 < len(self._states)

    @property
    def oldest_version(self) -> int:
        """The version that the first state shows."""
        return self._states[0].version

    @property
    def newest_version(self) -> int:
        """The last version that a state shows."""
        return max(state.version for state in self._states)

    def push(self, state: State) -> None:
        """The next step; what could be redone before is gone, and so are the oldest steps of a long way."""
        self.drop_redo()
        self._states.append(state)
        old = len(self._states) - _MOST_ANSWERS - 1
        if old >= 0 and self._states[old].answer is not None:
            self._states[old] = self._states[old].bare()
        self.index = len(self._states) - 1
        self.forget_oldest(len(self._states) - _MOST_STEPS)

    def drop_redo(self) -> None:
        """What could be redone is gone."""
        del self._states[self.index + 1 :]

    def undo(self) -> State:
        """One step back; returns the step that was undone. Raises `InvalidInput`."""
        if not self.can_undo:
            raise InvalidInput("There is nothing to undo.")
        self.index -= 1
        return self._states[self.index + 1]

    def redo(self) -> State:
        """One step forth; returns the step that was redone. Raises `InvalidInput`."""
        if not self.can_redo:
            raise InvalidInput("There is nothing to redo.")
        self.index += 1
        return self.shown

    def forget_oldest(self, steps: int) -> bool:
        """Give up so many of the oldest states, never the one shown; False where there is none to give up."""
        steps = min(steps, self.index)
        if steps <= 0:
            return False
        del self._states[:steps]
        self.index -= steps
        return True
