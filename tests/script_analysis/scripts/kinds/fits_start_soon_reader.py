import trio
async def read(path):
    total = 0
    for line in open(path):
        total += len(line)
    print(total)
async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, "in.txt")
trio.run(main)
