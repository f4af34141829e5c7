"""From datasets to latents to models."""
