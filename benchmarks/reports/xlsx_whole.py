"""openpyxl makes an object of each cell of a workbook."""

import sys

from openpyxl import load_workbook

book = load_workbook(sys.argv[1])  # cause
print(sum(len(str(cell.value)) for row in book.active for cell in row))
