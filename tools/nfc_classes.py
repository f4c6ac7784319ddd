"""Write the C table for the quick check of NFC: `python tools/nfc_classes.py > FILE`, with Python 3.11.

A character that Unicode 14 has keeps its place in this table in all later versions (Unicode's stability policy); those
that came later stop the check, so that whoever knows them is asked. Source: Unicode Standard Annex 15, 9.
"""

from __future__ import annotations

import string
import sys
import unicodedata

BLOCK = 128
# Beyond U+FFFF the table knows only mathematical letters, emoji and Chinese: all others are rare, and stop the check.
KNOWN_BEYOND = (range(0x1D400, 0x1D800), range(0x1F000, 0x1FB00), range(0x20000, 0x32000))
LAST_CODE_POINT = 0x10FFFF
JAMO = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))  # of Hangul: a vowel and an end, which join what stands before
# In the order of their bytes, so that C compares them as they are: a starter, then the combining classes that occur.
SYMBOLS = string.digits + string.ascii_uppercase + string.ascii_lowercase
STOP = "~"


def second_characters() -> set[str]:
    """Those that can become one with a character before them."""
    found = {chr(code) for code in JAMO}
    for code in range(LAST_CODE_POINT + 1):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", chr(code)) == chr(code):
            found.add(chr(int(parts[1], 16)))
    return found


def classes() -> str:
    """A symbol for each code point."""
    seconds = second_characters()
    ordered = sorted({unicodedata.combining(chr(code)) for code in range(LAST_CODE_POINT + 1)})
    symbols = dict(zip(ordered, SYMBOLS[: len(ordered)], strict=True))

    def symbol(character: str) -> str:
        code = ord(character)
        if code > 0xFFFF and not any(code in known for known in KNOWN_BEYOND):
            return STOP
        is_unknown = unicodedata.category(character) in ("Cn", "Cs")
        if is_unknown or character in seconds or unicodedata.normalize("NFC", character) != character:
            return STOP
        return symbols[unicodedata.combining(character)]

    return "".join(symbol(chr(code)) for code in range(LAST_CODE_POINT + 1))


def main() -> None:
    """Print the header."""
    assert unicodedata.unidata_version == "14.0.0", "run this with Python 3.11"
    table = classes()
    blocks: dict[str, int] = {}
    index = [blocks.setdefault(table[at : at + BLOCK], len(blocks)) for at in range(0, KNOWN_BEYOND[-1].stop, BLOCK)]
    assert len(blocks) <= 256, "an index no longer fits a byte"
    out = sys.stdout
    out.write("/* Written by tools/nfc_classes.py from Python's unicodedata, Unicode 14; not to be edited. */\n")
    out.write("#ifndef OG_NFC_CLASSES_H\n#define OG_NFC_CLASSES_H\n\n#include <stdint.h>\n\n")
    out.write(f"#define NFC_CODE_POINTS 0x{len(index) * BLOCK:x} /* what lies beyond stops the check */\n")
    out.write(f"#define NFC_STARTER '{SYMBOLS[0]}'\n#define NFC_STOP '{STOP}'\n\n")
    out.write(f"static const uint8_t nfc_block_of[{len(index)}] = {{\n")
    for at in range(0, len(index), 32):
        out.write("    " + ",".join(map(str, index[at : at + 32])) + ",\n")
    out.write(f"}};\n\n/* One character a code point, {BLOCK} a line. */\n")
    out.write(f"static const char nfc_classes[{len(blocks) * BLOCK + 1}] =\n")
    for block in blocks:
        out.write(f'    "{block}"\n')
    out.write("    ;\n\n#endif\n")


if __name__ == "__main__":
    main()
