"""Parts of ``echosyn evaluate``."""
