import asyncio
async def fetch(line):
    return len(line)
loop = asyncio.new_event_loop()
tasks = [loop.create_task(fetch(line)) for line in open("in.txt")]  # FINDING
loop.run_until_complete(asyncio.gather(*tasks))
