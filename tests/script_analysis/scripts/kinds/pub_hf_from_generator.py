from datasets import Dataset
def gen():
    for line in open("in.txt"):
        yield {"text": line}
ds = Dataset.from_generator(gen)
ds.save_to_disk("out")
