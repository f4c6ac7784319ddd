"""fstab lines go in once, come out alone, and all others stay byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from oomguard.formats.mounts import add_line, has_swap_line, parse_fstab, remove_swap_lines, swap_line

DEBIAN = """# /etc/fstab: static file system information.
UUID=5b1c0b5e-0000-4000-8000-000000000001 /  ext4 errors=remount-ro 0 1
/dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0
#/swapfile none swap sw 0 0
/swapfile\tnone\tswap\tsw\t0\t0
"""
PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).map(
    lambda name: f"/{name}"
)


def test_entries_of_a_debian_machine() -> None:
    assert [(entry.source, entry.target, entry.kind) for entry in parse_fstab(DEBIAN)] == [
        ("UUID=5b1c0b5e-0000-4000-8000-000000000001", "/", "ext4"),
        ("/dev/sr0", "/media/cdrom0", "udf,iso9660"),
        ("/swapfile", "none", "swap"),
    ]
    assert has_swap_line(DEBIAN, "/swapfile")
    assert not has_swap_line(DEBIAN, "/swap")
    assert not has_swap_line("#/swapfile none swap sw 0 0\n", "/swapfile")


@given(st.text(), st.text("/abc \\#", min_size=1).map(lambda name: f"/{name}"), st.none() | st.integers(0, 32767))
def test_what_was_added_is_found_and_comes_out_alone(before: str, path: str, priority: int | None) -> None:
    line = swap_line(path, priority=priority)
    assert len(line.split()) == 6
    with_it = add_line(before, line)
    assert has_swap_line(with_it, path)
    assert parse_fstab(line)[0].source == path
    if not has_swap_line(before, path):
        kept = remove_swap_lines(with_it, path)
        assert kept == before if not before or before.endswith("\n") else kept == before + "\n"


@given(PATHS)
def test_no_path_breaks_out_of_its_line(path: str) -> None:
    line = swap_line(path, priority=5)
    assert "\n" not in line
    assert line.endswith(" none swap nofail,pri=5 0 0")
