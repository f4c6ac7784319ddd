import torch
parts = []
for line in open("in.bin", "rb"):
    parts.append(torch.frombuffer(bytearray(line), dtype=torch.uint8))  # FINDING
