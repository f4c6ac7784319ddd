"""datasets.map with large rows: here with smaller batches, written sooner."""

from tempfile import mkdtemp

from datasets import Dataset


def rows():
    for number in range(3000):
        yield {"text": f"{number:05d}" * 4000}


def grow(batch):
    return {"text": [text * 4 for text in batch["text"]]}


if __name__ == "__main__":
    ds = Dataset.from_generator(rows, cache_dir=mkdtemp(dir="."))
    ds = ds.map(grow, batched=True, batch_size=50, writer_batch_size=50)
    print(len(ds))
