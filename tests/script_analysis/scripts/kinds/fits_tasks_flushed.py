import asyncio
async def fetch(line):
    await asyncio.sleep(0)
    return len(line)
async def main():
    tasks, total = [], 0
    for line in open("in.txt"):
        tasks.append(asyncio.create_task(fetch(line)))
        if len(tasks) == 100:
            total += sum(await asyncio.gather(*tasks))
            tasks.clear()
    total += sum(await asyncio.gather(*tasks))
    return total
print(asyncio.run(main()))
