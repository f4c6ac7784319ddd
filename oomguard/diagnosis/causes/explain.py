"""An event together with why it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.find import find_cause
from oomguard.diagnosis.model import ExplainedEvent

__all__ = ["ExplainedEvent", "explain"]

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OomEvent


def explain(event: OomEvent) -> ExplainedEvent:
    """Find the cause and keep it beside the event. Raises: nothing."""
    return ExplainedEvent(event=event, cause=find_cause(event))
