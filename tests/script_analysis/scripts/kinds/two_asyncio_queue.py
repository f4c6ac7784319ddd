import asyncio
async def main():
    q = asyncio.Queue()
    for line in open("in.txt"):
        await q.put(line)  # UNSEEN
asyncio.run(main())
