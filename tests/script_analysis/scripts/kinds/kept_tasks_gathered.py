import asyncio
async def fetch(line):
    return len(line)
async def main():
    await asyncio.gather(*[fetch(line) for line in open("in.txt")])  # FINDING
asyncio.run(main())
