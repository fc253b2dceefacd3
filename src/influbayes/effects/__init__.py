"""Draws become estimates: contrasts, estimands, ranks, sensitivity and criticism."""
