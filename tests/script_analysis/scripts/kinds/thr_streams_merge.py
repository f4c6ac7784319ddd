import heapq
from contextlib import ExitStack
import glob
with ExitStack() as stack, open("o.txt", "w") as out:
    files = [stack.enter_context(open(p)) for p in glob.glob("sorted/*.txt")]
    out.writelines(heapq.merge(*files))
