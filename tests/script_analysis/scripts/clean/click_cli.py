import json, sys
import click
@click.command()
@click.option("--min-len", default=10)
@click.argument("src", type=click.File("r"))
@click.argument("dst", type=click.File("w"))
def main(min_len, src, dst):
    for line in src:
        if len(json.loads(line)["text"]) >= min_len:
            dst.write(line)
if __name__ == "__main__":
    main()
