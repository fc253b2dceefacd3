"""The dashboard: run folders to look at, filter and hand over, in a browser. It holds no formulas."""
