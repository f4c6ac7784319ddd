"""The same in rounds of 100."""

import asyncio
import itertools
import sys


async def fetch(line):
    await asyncio.sleep(0)
    return len(line)


async def main():
    total = 0
    with open(sys.argv[1]) as file:
        while batch := list(itertools.islice(file, 100)):
            total += sum(await asyncio.gather(*map(fetch, batch)))
    return total


print(asyncio.run(main()))
