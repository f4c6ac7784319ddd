import trio
async def fetch(line, room):
    async with room:
        await trio.sleep(1)
        print(len(line))
async def main():
    room = trio.CapacityLimiter(100)
    async with trio.open_nursery() as nursery:
        for line in open("in.txt"):
            nursery.start_soon(fetch, line, room)  # UNSEEN
trio.run(main)
