"""Ray: the executor, its feeding, training on a cluster, and what runs on its workers."""
