"""Estimates and verdicts become results, sentences, pictures and pages."""
