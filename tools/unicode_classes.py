r"""Write the C table of character classes by asking the installed tiktoken: `python tools/unicode_classes.py > FILE`.

tiktoken drops what its pattern does not match, so encoding all code points with the pattern `\p{L}` gives the letters.
It is asked rather than unicodedata, because the tokens of a text depend on the Unicode version that tiktoken was built
with, which is neither Python's nor the newest.
"""

from __future__ import annotations

import sys

import tiktoken

PATTERNS = {1: r"[\p{Lu}\p{Lt}]", 2: r"\p{Ll}", 3: r"[\p{Lm}\p{Lo}]", 4: r"\p{M}", 5: r"\p{N}", 6: r"\s"}
# The first code points that a version added with one of these classes: what tells the versions apart.
FIRST_OF_VERSION = {"14.0": 0x10570, "15.0": 0x1E4D0, "15.1": 0x2EBF0, "16.0": 0x105C0, "17.0": 0x10940}
BLOCK = 128
LAST_CODE_POINT = 0x10FFFF


def ask(pattern: str) -> str:
    """The characters that `pattern` matches."""
    encoding = tiktoken.Encoding(
        "classes", pat_str=pattern, mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    surrogates = range(0xD800, 0xE000)
    everything = "".join(chr(code) for code in range(LAST_CODE_POINT + 1) if code not in surrogates)
    return encoding.decode(encoding.encode_ordinary(everything))


def classes() -> bytearray:
    """The class of every code point, as the numbers of PATTERNS; 0 is none of them."""
    table = bytearray(LAST_CODE_POINT + 1)
    for number, pattern in PATTERNS.items():
        for character in ask(pattern):
            assert table[ord(character)] == 0, "a character has two classes"
            table[ord(character)] = number
    return table


def unicode_version(table: bytearray) -> str:
    """The newest version whose characters are known."""
    return max((version for version, code in FIRST_OF_VERSION.items() if table[code]), key=float)


def main() -> None:
    """Print the header."""
    table = classes()
    blocks: dict[bytes, int] = {bytes(BLOCK): 0}
    index = [blocks.setdefault(bytes(table[at : at + BLOCK]), len(blocks)) for at in range(0, len(table), BLOCK)]
    while index[-1] == 0:  # what lies beyond is of no class
        index.pop()
    assert len(blocks) <= 256, "an index no longer fits a byte"
    out = sys.stdout
    out.write("/* Written by tools/unicode_classes.py from what tiktoken matches; not to be edited. */\n")
    out.write("#ifndef OG_UNICODE_CLASSES_H\n#define OG_UNICODE_CLASSES_H\n\n#include <stdint.h>\n\n")
    out.write(f'#define OG_UNICODE_VERSION "{unicode_version(table)}"\n')
    out.write(f"#define OG_CLASSIFIED_CODE_POINTS 0x{len(index) * BLOCK:x}\n\n")
    out.write(f"extern const uint8_t og_block_of[{len(index)}];\n")
    out.write(f"extern const char og_classes[{len(blocks) * BLOCK + 1}];\n\n")
    out.write("#ifdef OG_UNICODE_TABLES\n")
    out.write(f"const uint8_t og_block_of[{len(index)}] = {{\n")
    for at in range(0, len(index), 32):
        out.write("    " + ",".join(map(str, index[at : at + 32])) + ",\n")
    out.write(f"}};\n\n/* One digit a code point, see enum character_class; {BLOCK} a line. */\n")
    out.write(f"const char og_classes[{len(blocks) * BLOCK + 1}] =\n")
    for block in blocks:
        out.write('    "' + "".join(map(str, block)) + '"\n')
    out.write("    ;\n#endif\n\n#endif\n")


if __name__ == "__main__":
    main()
