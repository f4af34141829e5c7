"""The five trainable parts: a stage is its data and its objectives."""
