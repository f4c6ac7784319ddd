"""Numbers of ioctls, which differ between architectures: those that a C program prints there."""

import pytest

from oomguard.swap.system.file import ioctl_number

# _IOR('f', 1, long), _IOW('f', 2, long), _IOR(0x94, 31, 1024 bytes), _IOW(0x94, 14, 4096 bytes), _IOW(0xf5, 13, __u32)
NUMBERS = {
    "x86_64": (0x80086601, 0x40086602, 0x8400941F, 0x5000940E, 0x4004F50D),
    "aarch64": (0x80086601, 0x40086602, 0x8400941F, 0x5000940E, 0x4004F50D),
    "ppc64le": (0x40086601, 0x80086602, 0x4400941F, 0x9000940E, 0x8004F50D),
    "mips64": (0x40086601, 0x80086602, 0x4400941F, 0x9000940E, 0x8004F50D),
}


@pytest.mark.parametrize("machine", NUMBERS)
def test_of_each_architecture(machine: str) -> None:
    made = (
        ioctl_number("read", "f", 1, 8, machine=machine),
        ioctl_number("write", "f", 2, 8, machine=machine),
        ioctl_number("read", "\x94", 31, 1024, machine=machine),
        ioctl_number("write", "\x94", 14, 4096, machine=machine),
        ioctl_number("write", "\xf5", 13, 4, machine=machine),
    )
    assert made == NUMBERS[machine]
