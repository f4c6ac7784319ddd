"""What the encoders of a run hold at most: their life played through, with a tokenizer whose growth is known.

The rules by which a process leaves, is forked or forgets are those of the encoders themselves (`Learning`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.estimation.learning import Learning
from oomguard.preparation.engines.memory_budget import forked_bytes

if TYPE_CHECKING:
    from oomguard.estimation.tokenizer_growth import TokenizerGrowth
    from oomguard.preparation.engines.memory_budget import BudgetPlan

_STEPS = 4000  # at most; a step is never less than a piece
# Of the text that a process was born with: after as much of its own, new words have fallen on two thirds of the pages
# of the table, which are copied then. A table of 2**21 words has 16,384 pages and doubled when it held 917,504.
_COPIED = 0.03


@dataclass(frozen=True, slots=True)
class Held:
    """The most that the tokenizers of a run hold together. Units: bytes."""

    lasting: int  # from one piece to the next
    moment: int  # with a table that doubles, for some milliseconds: whoever looks now and then may miss it


@dataclass(slots=True)
class _Encoder:
    account: Learning
    text: float = 0.0  # what its tokenizer has seen, with what it was born with
    held: float = 0.0
    born_text: float = 0.0
    born_with: float = 0.0

    @property
    def own(self) -> float:
        """What it does not share with the one that it was forked from."""
        if not self.born_text:
            return self.held
        return self.held - self.born_with * math.exp((self.born_text - self.text) / (_COPIED * self.born_text))

    def forget(self) -> None:
        self.account.forgot(0)
        self.text = self.held = self.born_text = self.born_with = 0.0


@dataclass(slots=True)
class _Run:
    growth: TokenizerGrowth
    plan: BudgetPlan
    working: list[_Encoder] = field(default_factory=list)
    nursery: _Encoder | None = None  # once it only forks
    lasting: float = 0.0
    moment: float = 0.0

    def begin(self) -> None:
        """The nursery and those that are forked before its first piece."""
        for number in range(self.plan.workers):
            encoder = _Encoder(Learning(0, learn=self.plan.learn, growth=self.plan.growth))
            if number:
                encoder.account.begin_anew(0)
            self.working.append(encoder)

    def step(self, text: float) -> None:
        """Each encodes so much."""
        for encoder in list(self.working):
            leap = self.growth.leap_between(encoder.text, encoder.text + text)
            encoder.text += text
            encoder.held = self.growth.at(encoder.text)
            more = leap.most - encoder.held if leap is not None else 0.0
            self.moment = max(self.moment, self.total() + max(0.0, more))
            if encoder.account.is_too_much(int(encoder.held), int(text)):
                encoder.forget()
            if encoder.account.is_enough(int(encoder.held)):
                if not encoder.account.is_worth_keeping(int(encoder.held)):
                    encoder.forget()
                self._leave(encoder)
            self.lasting = max(self.lasting, self.total())

    def total(self) -> float:
        """All that their tokenizers hold."""
        held = sum(encoder.own for encoder in self.working)
        return held + (self.nursery.held + forked_bytes() if self.nursery is not None else 0.0)

    def _leave(self, encoder: _Encoder) -> None:
        """Another takes its place. The nursery stays, and only forks from then on."""
        if encoder is self.working[0] and self.nursery is None:
            self.nursery = encoder
        parent = self.nursery or self.working[0]
        account = Learning(0, learn=self.plan.learn, growth=self.plan.growth)
        account.is_too_much(0, int(parent.text))
        account.begin_anew(int(parent.held))
        forked = _Encoder(account, parent.text, parent.held, parent.text, parent.held)
        self.working[self.working.index(encoder)] = forked


def simulate_peak(growth: TokenizerGrowth, plan: BudgetPlan, *, text_bytes: int) -> Held:
    """Play a run through that encodes so much text."""
    run = _Run(growth, plan)
    run.begin()
    share = text_bytes / plan.workers
    step = max(float(plan.piece_bytes), share / _STEPS)
    done = 0.0
    while done < share:
        run.step(min(step, share - done))
        done += step
    return Held(round(run.lasting), round(run.moment))
