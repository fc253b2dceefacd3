"""Ledger to returns: ROAS, incremental ROAS, who is worth keeping, and how sure that is."""
