"""Bytes to checked tables: knows columns, units and faults; knows no model."""
