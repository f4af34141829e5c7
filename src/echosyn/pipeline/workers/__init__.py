"""Executors, processes, shards: the means by which work is shared."""
