"""What the page shows and `generate --replay` repeats: invent one heart, judge it, make it beat. No web in it."""
