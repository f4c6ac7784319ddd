import argparse
import numpy as np
import tiktoken
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--input", required=True)
    p.add_argument("--output", required=True)
    args = p.parse_args()
    enc = tiktoken.get_encoding("gpt2")
    with open(args.input, encoding="utf-8") as f, open(args.output, "wb") as out:
        for line in f:
            ids = enc.encode_ordinary(line)
            ids.append(enc.eot_token)
            out.write(np.array(ids, dtype=np.uint16).tobytes())
if __name__ == "__main__":
    main()
