import tiktoken


class Dataset:
    def __init__(self, path, block):
        self.enc = tiktoken.get_encoding("gpt2")
        self.block = block
        self.tokens = []
        self._load(path)

    def _load(self, path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                self.tokens += self.enc.encode_ordinary(line)  # FINDING token-list

    def __getitem__(self, i):
        return self.tokens[i : i + self.block]


dataset = Dataset("train.txt", 1024)
print(len(dataset.tokens))
