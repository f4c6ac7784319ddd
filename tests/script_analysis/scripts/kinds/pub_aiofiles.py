import asyncio, aiofiles
async def main():
    async with aiofiles.open("in.txt") as f:
        text = await f.read()  # FINDING
asyncio.run(main())
