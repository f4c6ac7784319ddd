"""Thresholds of the killers, as their manuals write them."""

from hypothesis import given
from hypothesis import strategies as st

from oomguard.diagnosis.killers.daemons import earlyoom_acts
from oomguard.diagnosis.killers.daemons import nohang_acts as _nohang_acts
from oomguard.diagnosis.killers.daemons import oomd_acts as _oomd_acts


def oomd_acts(settings: str) -> str:
    return _oomd_acts([], settings)


def nohang_acts(settings: str) -> str:
    return _nohang_acts([], settings)


def test_earlyoom() -> None:
    """Source: earlyoom(1); Debian starts it with -r 3600."""
    assert (
        earlyoom_acts(["-r", "3600"]) == "when less than 10% of memory is available and less than 10% of swap is free"
    )
    assert "less than 5% of memory" in earlyoom_acts(["-m", "5,2", "-s", "100", "--avoid", "(^|/)(init)$"])
    assert "less than 100% of swap" in earlyoom_acts(["-m5", "-s100"])
    assert "less than 400000 KiB of memory" in earlyoom_acts(["-M", "400000,200000"])


def test_oomd() -> None:
    """Source: oomd.conf(5); Fedora sets 20 s."""
    assert "when 90% of memory and swap are used" in oomd_acts("[OOM]\n#SwapUsedLimit=50%\n")
    fedora = oomd_acts("[OOM]\nSwapUsedLimit=90%\n\n[OOM]\nDefaultMemoryPressureDurationSec=20s\nSwapUsedLimit=80%\n")
    assert "80%" in fedora
    assert "60% of the time for 20s" in fedora


def test_nohang() -> None:
    """Source: nohang.conf as it is shipped."""
    shipped = "##\nsoft_threshold_min_mem  = 5 %\nhard_threshold_min_mem = 2 %\nsoft_threshold_min_swap = 10 %\n"
    assert nohang_acts(shipped) == "when less than 5% of memory is available (2%: SIGKILL)"
    assert "400 M" in nohang_acts(shipped.replace("5 %", "400 M"))


@given(st.text(), st.lists(st.text()))
def test_any_settings_are_survived(text: str, arguments: list[str]) -> None:
    for said in (oomd_acts(text), nohang_acts(text), earlyoom_acts(arguments)):
        assert said.startswith("when ")
