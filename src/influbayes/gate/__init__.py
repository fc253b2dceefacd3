"""Numbers become verdicts. Takes arrays and tables; knows no model."""
