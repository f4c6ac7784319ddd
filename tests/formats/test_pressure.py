"""/proc/pressure/memory."""

from oomguard.formats.proc import Pressure, parse_pressure

READ_HERE = (
    "some avg10=0.16 avg60=3.59 avg300=3.41 total=16945783\nfull avg10=0.15 avg60=3.34 avg300=3.24 total=16157566\n"
)


def test_percent_becomes_fractions() -> None:
    found = parse_pressure(READ_HERE)
    assert found == Pressure(some_10s=0.16 / 100, some_60s=3.59 / 100, full_10s=0.15 / 100, full_60s=3.34 / 100)


def test_a_kernel_without_it() -> None:
    assert parse_pressure("") is None
    assert parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n") is None
