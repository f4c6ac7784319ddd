import asyncio
async def fetch(line):
    await asyncio.sleep(0)
    return line.upper()
async def main():
    with open("in.txt") as file, open("out.txt", "w") as out:
        for line in file:
            out.write(await fetch(line))
            task = asyncio.create_task(fetch(line))
            out.write(await task)
asyncio.run(main())
