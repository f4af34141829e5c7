"""The verbs. Each reads folders and writes one new folder, whole or not at all."""
