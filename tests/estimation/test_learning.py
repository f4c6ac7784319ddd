"""When a process has learned enough: by its memory, and by the text that its table has room for."""

from oomguard.estimation.learning import Learning
from oomguard.units import MIB

EMPTY = 100 * MIB


class Process:
    """A table that doubles when it is full, as gigatoken's does, and its account; sizes in MiB of table and text."""

    def __init__(self, account: Learning, *, table: int = 4, full: int = 10) -> None:
        self.account, self.table, self.full, self.text = account, table, full, 0
        self.most = self.memory

    @property
    def memory(self) -> int:
        return EMPTY + self.table * MIB

    def encode(self, *, words: float = 1.0) -> bool:
        """One MiB of text; says whether it was enough. In a language, twice the words take three times the text."""
        self.text += 1
        if self.text * words >= self.full:
            self.table *= 2
            self.full *= 3
        self.most = max(self.most, self.memory)
        assert not self.account.is_too_much(self.memory, MIB)
        return self.account.is_enough(self.memory)

    def encode_until_enough(self, *, words: float = 1.0) -> int:
        """How much text this process encoded."""
        began = self.text
        while not self.encode(words=words):
            assert self.text < 10_000
        return self.text - began


def account(*, learn: int = 20, growth: int = 50) -> Learning:
    return Learning(EMPTY, learn=learn * MIB, growth=growth * MIB)


def test_a_nursery_stops_when_its_table_has_just_doubled() -> None:
    process = Process(account())
    assert process.encode_until_enough() == 90
    assert (process.table, process.full) == (32, 270)


def test_one_that_grows_without_leaps_stops_all_the_same() -> None:
    slow = account()
    grown = next(size for size in range(1000) if slow.is_enough(EMPTY + size * MIB))
    assert grown == 44


def test_those_that_are_forked_from_it_leave_before_the_table_doubles() -> None:
    """So two tables at once are never needed after the first."""
    process = Process(account())
    nursery_text = process.encode_until_enough()
    process.account.begin_anew(process.memory)
    assert process.encode_until_enough() == 1.5 * nursery_text
    assert process.most == EMPTY + 32 * MIB


def test_one_whose_text_is_all_new_words_leaves_by_its_memory() -> None:
    process = Process(account())
    process.encode_until_enough()
    process.account.begin_anew(process.memory)
    grown = next(size for size in range(1000) if process.account.is_enough(process.memory + size * MIB))
    assert grown == 18


def test_one_that_was_forked_before_anything_was_learned_is_like_the_nursery() -> None:
    process = Process(account())
    process.account.begin_anew(EMPTY)
    assert process.encode_until_enough() == 90
    grown = account()
    grown.begin_anew(EMPTY)
    assert [grown.is_enough(EMPTY + size * MIB) for size in (19, 20)] == [False, True]


def test_whoever_is_born_with_much_has_room_for_a_little_more() -> None:
    """A nursery that learned in one leap may have learned more than others may ever hold."""
    born = account()
    born.is_too_much(EMPTY, MIB)
    born.begin_anew(EMPTY + 80 * MIB)
    assert not born.is_enough(EMPTY + 80 * MIB)
    assert born.is_enough(EMPTY + 100 * MIB)


def test_what_is_worth_keeping_is_met_again() -> None:
    """A language's words are; a text of words at random gives a table larger than itself."""
    language, random = Process(account()), Process(account(growth=1000))
    language.encode_until_enough()
    random.encode_until_enough(words=10)
    assert language.account.is_worth_keeping(language.memory)
    assert not random.account.is_worth_keeping(random.memory)


def test_a_leap_in_the_middle_of_a_piece_is_too_much_and_forgetting_leaves_room() -> None:
    leaping = account()
    assert not leaping.is_too_much(EMPTY + 50 * MIB, MIB)
    assert leaping.is_too_much(EMPTY + 51 * MIB, MIB)
    forked = account()
    forked.begin_anew(EMPTY)
    assert not forked.is_too_much(EMPTY + 100 * MIB, MIB)  # it can leave behind the piece
    assert forked.is_too_much(EMPTY + 101 * MIB, MIB)
    forked.forgot(EMPTY + 90 * MIB)
    assert forked.is_enough(EMPTY + 90 * MIB)
    leaping.forgot(EMPTY + 40 * MIB)  # a heap that was given back in part
    assert not leaping.is_too_much(EMPTY + 40 * MIB, MIB)
    assert not leaping.is_too_much(EMPTY + 60 * MIB, MIB)
