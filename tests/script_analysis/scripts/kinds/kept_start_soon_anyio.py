import anyio
async def keep(rows, line):
    rows.append(line)  # FINDING
async def main():
    rows = []
    async with anyio.create_task_group() as group:
        for line in open("in.txt"):
            group.start_soon(keep, rows, line)  # UNSEEN
    return rows
anyio.run(main)
