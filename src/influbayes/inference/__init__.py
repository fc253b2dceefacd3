"""A model becomes draws. Every engine has the same signature."""
