"""What the entries share: how a call runs and ends, and how its words are read.

Takes parsers, words and the work of an entry; makes exit codes and refusals. Knows no study and no table.
"""
