"""What a simulated venue calls the options that it lists."""

from collections.abc import Callable, Sequence

from volgauge.simulator.board import Board, Notice


class Names:
    """Names by book and slot, and the other way round; nobody is told of what comes and goes."""

    def __init__(self, boards: Sequence[Board], name_of: Callable[[int, int], str]) -> None:
        """Name all that the boards list.

        Args:
            boards: One a book.
            name_of: The name of an option by place of its book and slot; "" of one that the venue
                does not list. Asked once, in the order of the slots.
        """
        self.of: list[list[str]] = [[] for _ in boards]
        """By place of the book and slot."""
        self.contracts: dict[str, tuple[int, int]] = {}
        """Name to place and slot, of what is listed."""
        self._boards = boards
        self._name_of = name_of
        for place in range(len(boards)):
            self.learn(place)

    def learn(self, place: int) -> None:
        """Name what the board lists and has no name yet."""
        names, board = self.of[place], self._boards[place]
        for slot in range(len(names), len(board.options)):
            names.append(self._name_of(place, slot))
            if names[slot] and board.alive[slot]:
                self.contracts[names[slot]] = (place, slot)

    def drop(self, place: int, slot: int) -> None:
        """An option has ended."""
        self.contracts.pop(self.of[place][slot], None)

    def follow(self, notices: Sequence[Notice]) -> list[list[Notice]]:
        """Name what came and drop what ended.

        Returns:
            By place of the book, its notices of options.
        """
        found = []
        for place, board in enumerate(self._boards):
            mine = [n for n in notices if n.board is board and n.kind == "option"]
            found.append(mine)
            if any(notice.created for notice in mine):
                self.learn(place)
            for notice in mine:
                if notice.state == "settlement":
                    self.drop(place, notice.number)
        return found
