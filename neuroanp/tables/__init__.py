"""Tables of others: one reader for data to train on and for measurements to fit.

    sheet = read_sheet("trace.csv")     # separator, decimal mark and the line of names are found
    sheet.names, sheet.account()        # what was taken for what
    sheet.numbers([0, 1])               # (rows, 2)

`source` has the text, `layout` where its table is, `sheet` its cells, `numbers` and `times` what a
cell means, `headings` what a column's name says, `suspects` numbers that may be none, and
`thousands` marks that may not be decimal.
"""

from neuroanp.tables.sheet import Sheet, read_sheet

__all__ = ["Sheet", "read_sheet"]
