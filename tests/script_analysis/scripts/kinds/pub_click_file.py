import click
@click.command()
@click.argument("f", type=click.File())
def main(f):
    lines = f.read().splitlines()  # FINDING
main()
