"""datasets.map with large rows: a batch of 1,000 is held before it is written."""

from tempfile import mkdtemp

from datasets import Dataset


def rows():
    for number in range(3000):
        yield {"text": f"{number:05d}" * 4000}


def grow(batch):
    return {"text": [text * 4 for text in batch["text"]]}  # cause


if __name__ == "__main__":
    ds = Dataset.from_generator(rows, cache_dir=mkdtemp(dir="."))
    ds = ds.map(grow, batched=True)  # cause
    print(len(ds))
