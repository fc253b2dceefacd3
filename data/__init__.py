"""Simulated tables that ship with influbayes, their data dictionary, and the truth they were made from."""
