"""What the page shows and `generate --replay` repeats: sample one still, judge it, animate it. No web in it."""
