import tiktoken

enc = tiktoken.get_encoding("gpt2")


def sections(path):
    lines = []
    with open(path) as f:
        for line in f:
            if line.strip() == "<|endoftext|>":
                yield "".join(lines)
                lines = []
            else:
                lines.append(line)
    if lines:
        yield "".join(lines)


with open("stories.bin", "wb") as out:
    for section in sections("stories.txt"):
        for token in enc.encode_ordinary(section):
            out.write(token.to_bytes(2, "little"))
