"""How the values of a window are added up: row by row, or column after column."""

ORDERS = ("rows", "columns")
