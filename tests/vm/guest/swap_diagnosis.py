"""The kernel's own words about its newest kill, in the form that oomguard diagnose --json gives them."""

import json
import re
import subprocess

log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
pid, name, anon, file, shmem = re.findall(
    r"Killed process (\d+) \((.*?)\).*anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB", log
)[-1]
victim = {
    "pid": int(pid),
    "name": name,
    "anon_rss": int(anon) << 10,
    "file_rss": int(file) << 10,
    "shmem_rss": int(shmem) << 10,
}
print(
    json.dumps(
        {"schema": "oomguard.diagnosis/1", "verdict": "proved", "killer": "kernel", "events": [{"victims": [victim]}]}
    )
)
