import itertools
import anyio
async def fetch(line):
    print(len(line))
async def main():
    with open("in.txt") as file:
        while batch := list(itertools.islice(file, 100)):
            async with anyio.create_task_group() as group:
                for line in batch:
                    group.start_soon(fetch, line)
anyio.run(main)
