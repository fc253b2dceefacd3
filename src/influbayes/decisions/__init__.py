"""Choices: what a level may cost, what to buy, what more posts would be worth. Knows no file and no wording."""
