import openpyxl
wb = openpyxl.load_workbook("in.xlsx")  # UNSEEN
