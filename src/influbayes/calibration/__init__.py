"""Simulation-based calibration: is what a model and an engine say true as often as they say it?"""
