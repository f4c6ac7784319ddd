"""`oomguard profile`: what a program needs at its peak, and where it grew; recorded while it runs."""

from oomguard.profiling.attach import profile_process
from oomguard.profiling.command import profile_command
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions
from oomguard.profiling.recording import read_recording
from oomguard.profiling.rules.difference import ProfileDifference, compare
from oomguard.profiling.scaling import ScalingEvents, profile_scaling

__all__ = [
    "ProfileDifference",
    "ProfileEvents",
    "ProfileOptions",
    "Profiled",
    "ScalingEvents",
    "compare",
    "profile_command",
    "profile_process",
    "profile_scaling",
    "read_recording",
]
