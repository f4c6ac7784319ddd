"""For each finding: what it does to memory, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """Two sentences for people."""

    why: str
    do: str


ADVICE = {
    "whole-read": Advice(
        "reads the whole file at once; each character takes as much as the widest one in it (1, 2 or 4 bytes)",
        "for line in f: ..., or f.read(1 << 20) in a loop, and let go of each piece",
    ),
    "readlines": Advice("makes a string of every line before the first is used", "for line in f: ..."),
    "json-load": Advice(
        "reads the file whole as text and builds every object before the first is used",
        "one document a line (JSON Lines): for line in f: json.loads(line); an array: ijson.items(f, 'item')",
    ),
    "object-load": Advice(
        "builds every object of the file before the first is used",
        "a format that is read record by record: JSON Lines, Parquet batches, one pickle.dump() per record; "
        "ET.iterparse() with element.clear() for XML; np.load(..., mmap_mode='r') for arrays",
    ),
    "list-of-input": Advice(
        "makes an object of every line, word or document, and keeps them all",
        "go through the file or the generator itself, without the list",
    ),
    "dataframe": Advice(
        "holds the table whole, and twice while it is read",
        "pd.read_csv(..., chunksize=10_000), pq.ParquetFile(...).iter_batches(), pl.scan_parquet(...)",
    ),
    "load-dataset": Advice(
        "writes a second copy of the corpus to the cache on disk before it starts (its memory is page cache)",
        "load_dataset(..., streaming=True)",
    ),
    "token-list": Advice(
        "a Python list takes 8 bytes for each id, and 32 more for each id above 256: 35 a token, where a file takes 2",
        "np.array(ids, dtype=np.uint16).tofile(out) for each piece, then ids.clear()",
    ),
    "array-of-list": Advice(
        "the array is made while the list it comes from still lives",
        "write each piece's array to the file: .tofile(out); or fill a np.memmap",
    ),
    "growing-list": Advice(
        "keeps what it makes of every piece of the input until the end",
        "write it out each so many items, then .clear()",
    ),
    "growing-table": Advice(
        "keeps an entry for everything that passes by, about 100 bytes each besides the key and the value",
        "keep a hash of 8 bytes in a sorted array or on disk (sqlite3), or split the input by hash and do one part "
        "after the other",
    ),
    "cache": Advice(
        "the cache never forgets: it keeps the arguments and the result of every call",
        "@lru_cache(maxsize=100_000)",
    ),
    "matrix": Advice(
        "holds a number for each word of each document", "HashingVectorizer and partial_fit, a batch at a time"
    ),
    "all-by-all": Advice(
        "a number for each pair of documents: it grows with the square of their count",
        "compare in blocks and keep only the near pairs: MinHash with LSH, sklearn's radius_neighbors, faiss",
    ),
    "trainer": Advice(
        "loads all sentences before it begins", "input_sentence_size=10_000_000, shuffle_input_sentence=True"
    ),
    "growing-text": Advice("a text that grows to the size of the input", "write each piece to a file instead"),
    "growing-array": Advice(
        "an array that grows with the input, and is copied whole each time it grows",
        "write each piece's array to the file: .tofile(out); or fill a np.memmap",
    ),
    "join-all": Advice("puts all pieces together in a second copy", "out.write() each piece with its separator"),
    "copy": Advice("makes another copy of what is held already", "work on one piece after the other, or del the first"),
    "pool-map": Advice(
        "takes in the whole input before it starts, and keeps every result until the last is done",
        "pool.imap(f, items, chunksize=64), and write each result as it comes",
    ),
    "concatenate": Advice("the parts and the whole live at the same time", "write each part to the file: .tofile(out)"),
    "tolist": Advice(
        "turns an array of 2-byte ids into Python ints of 40 bytes each",
        "array.tofile(file) or file.write(array.tobytes()), without a list",
    ),
}
