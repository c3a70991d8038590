"""``mmroad data ...``: data sets made, converted, split."""
