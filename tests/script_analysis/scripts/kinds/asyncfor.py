import aiofiles, asyncio
async def main():
    docs = []
    async with aiofiles.open("in.txt") as f:
        async for line in f:
            docs.append(line)  # FINDING
asyncio.run(main())
