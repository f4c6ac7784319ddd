import asyncio, aiohttp
async def get(s, u):
    async with s.get(u) as r:
        return await r.text()
async def main():
    async with aiohttp.ClientSession() as s:
        urls = open("urls.txt").read().split()  # FINDING
        pages = await asyncio.gather(*[get(s, u) for u in urls])  # FINDING
asyncio.run(main())
