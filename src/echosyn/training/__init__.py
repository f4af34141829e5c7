"""One loop, five stages."""
