import asyncio
async def lines():
    for l in open("in.txt"):
        yield l
async def main():
    rows = [l async for l in lines()]  # FINDING
    return rows
asyncio.run(main())
