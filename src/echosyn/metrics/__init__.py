"""Features and arrays in, numbers out. Knows no disk and no network."""
