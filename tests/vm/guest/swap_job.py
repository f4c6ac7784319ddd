"""A job of so many MiB: fills them, reads all of them back, and ends with 0 if they are what was written."""

import hashlib
import sys

size = int(sys.argv[1])
blocks = [bytes([n % 251]) * 4096 * 256 for n in range(size)]
wanted = hashlib.sha256()
for n in range(size):
    wanted.update(bytes([n % 251]))
seen = hashlib.sha256()
for block in blocks:
    seen.update(block[4096:4097])
sys.exit(seen.digest() != wanted.digest())
