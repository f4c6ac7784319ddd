"""A task for each line at once; the semaphore limits those that run, not those that wait."""

import asyncio
import sys


async def fetch(line, room):
    async with room:
        await asyncio.sleep(0)
        return len(line)


async def main():
    room = asyncio.Semaphore(100)
    tasks = []
    for line in open(sys.argv[1]):
        tasks.append(asyncio.create_task(fetch(line, room)))  # cause
    return sum(await asyncio.gather(*tasks))  # cause


print(asyncio.run(main()))
