"""What swapon and the kernel say, as they said it on the file systems of tests/live, and in the kernel's source."""

import pytest

from oomguard.swap.system.switch import explain_swapon

EINVAL = "swapon: /mnt/s: swapon failed: Invalid argument\n"


@pytest.mark.parametrize(
    ("said", "log", "words", "needs_zeros"),
    [
        # seen here: Linux 6.18, util-linux 2.38
        (EINVAL, ["BTRFS warning (device loop1): swapfile must not be copy-on-write"], "copy on write", False),
        ("swapon: /mnt/h: skipping - it appears to have holes.\n", [], "holes", True),
        (EINVAL, [], "Invalid argument", False),  # tmpfs, overlayfs: no line in the log
        # fs/btrfs/inode.c, fs/iomap/swapfile.c, mm/swapfile.c
        (EINVAL, ["BTRFS warning (device sda1): swapfile must not be compressed"], "compressed", False),
        (EINVAL, ["BTRFS warning (device sda1): swapfile must have single data profile"], "more than one disk", False),
        (EINVAL, ["BTRFS warning (device sda1): cannot activate swapfile while exclusive operation is running"], "balance", False),
        (EINVAL, ["swapon: file /mnt/s has unallocated extents"], "never written", True),
        (EINVAL, ["swapon: file /mnt/s has shared extents"], "shares blocks", False),
        (EINVAL, ["swapon: swapfile has holes"], "holes", True),
        (EINVAL, ["Unable to find swap-space signature"], "not formatted", False),
        ("swapon: /mnt/s: swapon failed: Device or resource busy\n", [], "in use", False),
        ("swapon: /mnt/s: swapon failed: Operation not permitted\n", [], "permit", False),
        ("", [], "gives no reason", False),
    ],
)  # fmt: skip
def test_one_word_becomes_a_reason(said: str, log: list[str], words: str, needs_zeros: bool) -> None:
    unrelated = ["eth0: link up", "device has holes in its firmware"]
    refusal = explain_swapon(said, [*unrelated, *log, "audit: type=1400"])
    assert words in refusal.because
    assert refusal.needs_zeros is needs_zeros
    assert refusal.do


def test_the_kernels_word_wins_over_swapons() -> None:
    log = ["BTRFS warning (device loop1): swapfile must not be copy-on-write"]
    assert "copy on write" in explain_swapon("swapon: /s: skipping - it appears to have holes.", log).because
