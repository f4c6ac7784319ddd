import anyio
from client import Client
async def main():
    client = Client()
    async with anyio.create_task_group() as group:
        for line in open("in.txt"):
            group.start_soon(client.send, line)  # UNSEEN
anyio.run(main)
