from contextlib import closing, ExitStack
with ExitStack() as stack:
    f = stack.enter_context(open("in.txt"))
    rows = list(f)  # FINDING
