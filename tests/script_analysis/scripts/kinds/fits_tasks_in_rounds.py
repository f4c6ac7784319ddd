import asyncio
import itertools
async def fetch(line):
    await asyncio.sleep(0)
    return len(line)
async def main():
    total = 0
    with open("in.txt") as file:
        while batch := list(itertools.islice(file, 100)):
            total += sum(await asyncio.gather(*[fetch(line) for line in batch]))
    return total
print(asyncio.run(main()))
