import asyncio
async def fetch(line, room):
    async with room:
        await asyncio.sleep(0)
        return len(line)
async def main():
    room = asyncio.Semaphore(100)
    tasks = []
    for line in open("in.txt"):
        tasks.append(asyncio.create_task(fetch(line, room)))  # FINDING
    return sum(await asyncio.gather(*tasks))
print(asyncio.run(main()))
