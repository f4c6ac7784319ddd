"""The same row by row."""

import sys

from openpyxl import load_workbook

book = load_workbook(sys.argv[1], read_only=True)
print(sum(len(str(cell.value)) for row in book.active for cell in row))
