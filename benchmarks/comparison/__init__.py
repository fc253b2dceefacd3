"""The parts of the speed comparison: who takes part, how each is run, read, judged, tabulated and drawn."""
