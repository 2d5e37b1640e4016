"""A run in the formats of other programs, each checked by the program that will read it."""
