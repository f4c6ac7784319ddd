"""The core does not read or write beyond its buffers, and the tests would notice if it did or if it were wrong."""

import ctypes
import json
import mmap
import os
import platform
import random
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import hatch_build
from oomguard.preparation.encoding import bytes_core, native
from oomguard.preparation.encoding.bytes_core import find_denormal
from oomguard.preparation.encoding.native import SLACK_TOKENS, Encoder, Status, Tier
from tests.preparation.encoding.core_texts import (
    NAMES,
    SPLITTERS,
    encoder_of,
    expected,
    hostile,
    native_needed,
    rank_file,
    tiers,
)
from tests.preparation.encoding.test_nfc import nfc_is_made
from tests.properties import some_of

# Compiles the core, and again for each fault: in one worker.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compiled")]
ROOT = Path(hatch_build.__file__).parent
SOURCE = ROOT / hatch_build.SOURCE
SECONDS = os.environ.get("OOMGUARD_FUZZ_SECONDS", "1")


def compiler() -> list[str]:
    """What compiles C here, or a skip."""
    found = hatch_build.find_compiler()
    if found is None:
        pytest.skip("needs a C compiler")
    return found


# ---- guard pages ----


def guarded(size: int) -> tuple[mmap.mmap, memoryview]:
    """Memory of `size` bytes that ends where a page begins that nobody may touch."""
    pages = -(-size // mmap.PAGESIZE) + 1
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    end = (pages - 1) * mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address + end), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return memory, memoryview(memory)[end - size : end]


def touch_only_what_is_given(name: str, tier: Tier) -> None:
    """Text of every length up to the edge of its page, tokens up to the edge of theirs."""
    rng = random.Random(name)
    encoder = encoder_of(name, tier=tier)
    _, text_room = guarded(4 * mmap.PAGESIZE)
    _, token_room = guarded(8 * mmap.PAGESIZE)
    for length in range(200):
        text = (hostile(rng) + "Once upon a time, " * 12).encode()[:length].decode(errors="ignore").encode()
        at_edge = text_room[len(text_room) - len(text) :]
        at_edge[:] = text
        find_denormal(at_edge, 0)
        tokens = token_room[len(token_room) - (len(text) + SLACK_TOKENS) * encoder.token_bytes :]
        done = encoder.encode(at_edge, tokens, scratch=bytearray(36 * len(text)))
        assert done.status is Status.DONE
        assert tokens[: done.tokens * encoder.token_bytes].cast("H" if encoder.token_bytes == 2 else "I").tolist() == (
            expected(name, text.decode())
        )


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize("name", ["r50k", "cl100k", "o200k"])
def test_nothing_beyond_the_buffers_is_touched(name: str, tier: Tier) -> None:
    native_needed()
    code = (
        "from tests.preparation.encoding import test_core_hardened as t; "
        f"t.touch_only_what_is_given({name!r}, t.Tier({int(tier)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def touch_only_strings() -> None:
    """Strings of JSON of every length up to the edge of their page, what they say up to the edge of another."""
    core = native.load_core()
    _, json_room = guarded(mmap.PAGESIZE)
    _, text_room = guarded(mmap.PAGESIZE)
    _, place_room = guarded(mmap.PAGESIZE)

    def read(value: bytes, count: int) -> list[str] | None:
        at_edge, said = json_room[len(json_room) - len(value) :], text_room[len(text_room) - len(value) :]
        at_edge[:] = value
        places = place_room[len(place_room) - 8 * (count + 1) :]
        with native.Memory(at_edge) as data, native.Memory(said) as out, native.Memory(places) as ends:
            assert core.og_line_feeds(data.address, data.size) == core.og_json_lines(data.address, data.size) == 0
            if not core.og_json_strings(data.address, data.size, out.address, out.size, ends.address, count):
                return None
        return [said[start:end].tobytes().decode() for start, end in pairwise(places.cast("q"))]

    parts = [
        b"a" * 9,
        b"\\n",
        b"ab",
        b'\\"',
        b"\\u00e9",
        b"\xc3\xa9",
        b"\\ud83d\\ude00",
        b"abc",
        b"\\\\",
        b"0123456789",
    ]
    for first in range(len(parts)):
        for last in range(first, len(parts) + 1):
            value = b'"%b"' % b"".join(parts[first:last])
            assert read(value, 1) == [json.loads(value)]
            assert read(2 * value, 2) == 2 * [json.loads(value)]
            for end in range(len(value)):
                assert read(value[:end], 1) is None


def test_strings_do_not_touch_what_is_beyond() -> None:
    native_needed()
    code = "from tests.preparation.encoding import test_core_hardened as t; t.touch_only_strings()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- sanitizers ----


@pytest.fixture(scope="session")
def fuzz_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """core_fuzz.c with AddressSanitizer and UndefinedBehaviorSanitizer."""
    folder = tmp_path_factory.mktemp("fuzz")
    flags = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SOURCE}"]
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    if subprocess.run(
        [*compiler(), *flags, str(probe), "-o", str(folder / "probe")], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs libasan and libubsan")
    objects = hatch_build.compile_objects(SOURCE, folder, compiler=compiler(), machine=platform.machine(), flags=flags)
    program = folder / "core_fuzz"
    harness = Path(__file__).with_name("core_fuzz.c")
    subprocess.run([*compiler(), *flags, str(harness), *objects, "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("name", some_of(NAMES, one_in=2))
def test_hostile_text_with_sanitizers(name: str, fuzz_program: Path) -> None:
    splitter = SPLITTERS[name]
    seed = str(random.SystemRandom().randrange(1 << 40))  # another each time: a failure names it
    command = [
        str(fuzz_program),
        str(rank_file(name)),
        str(int(splitter.family)),
        str(int(splitter.switches)),
        SECONDS,
        seed,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"
    assert int(done.stdout.split()[0]) > 1000 * int(SECONDS)  # a tenth of what is tried here in so much CPU time


# ---- mutants ----

MUTANTS = {
    "a contraction is forgotten": ("unicode.h", "a == 's' || a == 't' || a == 'm' || a == 'd'", "a == 's' || a == 't' || a == 'm'"),
    "a class is wrong": ("unicode.h", "        return PUNCT;\n    return (enum", "        return PUNCT;\n    if (code == 0x1680)\n        return PUNCT;\n    return (enum"),
    "a run is not seen whole": ("scan.h", "whole < taken ? (whole < digits ? whole : digits)", "whole < taken ? (whole < digits ? b->size : digits)"),
    "digits are counted in fours": ("scan.h", "n % 3 == 0", "n % 4 == 0"),
    "the rightmost of equal pairs": ("merge_short.c", "pair[i] < least ? pair[i] : least", "pair[i] >> PLACE_BITS <= least >> PLACE_BITS ? pair[i] : least"),
    "a pair is said to be none": ("merge_short.c", "return group & group_bit(hash) ?", "return group & group_bit(hash << 1) ?"),
    "the token before a pair is another": ("merge_short.c", "(p->live & below(at)) << 1", "below(at) << 1"),
    "a token may cross, but is said not to": ("internal.h", "        return true; /* one has", "        return false; /* one has"),
    "a bound is off by one": ("look_up.c", "- (text + starts[safe - 1]) < KEY)", "- (text + starts[safe - 1]) < KEY - 1)"),
    "a block is read beyond the text": ("scan.h", "scan->base + BLOCK > scan->readable", "scan->base + BLOCK / 2 > scan->readable"),
    "an ASCII byte is passed with what follows it": ("nfc.c", "size - at >= 8 &&", "size - at >= 4 &&"),
    "the order of marks is not looked at": ("nfc.c", " && now < last);", " && now > 'z');"),
    "a stretch begins behind what its marks join": ("nfc.c", "at > from ? at - 1 : at", "at"),
    "a string is read beyond its end": ("json.c", "!special && size - *in >= 8", "!special && size - *in >= 7"),
    "an escape is read beyond its end": ("json.c", "size < ESCAPE ||", "size < ESCAPE - 1 ||"),
    "a quote is overlooked": ("json.c", "((quote - ones) & ~quote)", "((quote - ones) & quote)"),
    "room for tokens is not asked": ("encode.c", "starts[count] - starts[0] > room", "starts[count] - starts[0] > room + 4096"),
}  # fmt: skip


@pytest.mark.parametrize("mutant", [None, *some_of(list(MUTANTS), one_in=3)])
def test_mutants_are_caught(mutant: str | None, tmp_path: Path) -> None:
    """Each of these faults is found by one of the checks above; where there is none, none is found."""
    native_needed()
    shutil.copytree(SOURCE, tmp_path / "core")
    if mutant:
        file, right, wrong = MUTANTS[mutant]
        text = (tmp_path / "core" / file).read_text()
        assert text.count(right) == 1
        (tmp_path / "core" / file).write_text(text.replace(right, wrong))
    library, flags = tmp_path / "core.so", ("-O1", "-w", "-DOG_PLAIN_ALONE")
    hatch_build.compile_core(tmp_path / "core", library, compiler=compiler(), machine="any", flags=flags)
    code = f"from tests.preparation.encoding import test_core_hardened as t; t.find_fault({str(library)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if mutant:
        assert done.returncode < 0 or "in find_fault" in done.stderr, "nobody noticed"
    else:
        assert done.returncode == 0, done.stderr


def find_fault(library: str) -> None:
    """Run the checks with another library; a fault ends this process one way or another."""
    core = native.load_core(Path(library))
    native.load_core = bytes_core.load_core = lambda *_: core  # type: ignore[assignment,attr-defined]  # no cache is needed here
    nfc_is_made()
    touch_only_strings()
    for name in ("cl100k", "r50k"):
        touch_only_what_is_given(name, Tier.PLAIN)
        rng = random.Random(1)
        encoder = encoder_of(name)
        for _ in range(3000):
            text = hostile(rng)
            tokens = encoder.encode_whole(text.encode())
            assert list(tokens) == expected(name, text), text
        room_is_kept(encoder)


def room_is_kept(encoder: Encoder) -> None:
    """Where there is no room, nothing is written."""
    text = "a1b2" * 800
    _, tokens = guarded(200 * encoder.token_bytes)
    assert encoder.encode(text.encode(), tokens).status is Status.FULL
