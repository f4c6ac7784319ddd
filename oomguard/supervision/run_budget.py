"""The names that preparation knows the budget by."""

from __future__ import annotations

from oomguard.supervision.own_budget import RunBudget
from oomguard.supervision.own_budget import enter_budget as open_budget

__all__ = ["RunBudget", "open_budget"]
