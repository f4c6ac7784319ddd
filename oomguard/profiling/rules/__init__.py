"""Samples and events to peaks and timelines; pure."""
