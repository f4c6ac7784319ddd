import asyncio
async def fetch(line):
    return len(line)
async def main():
    async with asyncio.TaskGroup() as group:
        for line in open("in.txt"):
            group.create_task(fetch(line))  # FINDING
asyncio.run(main())
