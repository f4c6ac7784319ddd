"""Frozen dataclasses with render() for people and to_json() for programs; pure."""
