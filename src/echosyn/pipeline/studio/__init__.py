"""What the page shows and `generate --replay` repeats: invent one heart, judge it, make it beat. No web in it."""

from echosyn.pipeline.studio.recipe import Recipe
from echosyn.pipeline.studio.studio import Beat, Heart, Studio, Verdict

__all__ = ["Beat", "Heart", "Recipe", "Studio", "Verdict"]
