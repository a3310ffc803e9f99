"""Training recipes as data, and the solver prototxts made from them."""

from __future__ import annotations

from .fitting import Load, fitted
from .prototxt import solver, text
from .recipes import KINDS, RECIPES, Recipe, recipe

__all__ = ["KINDS", "RECIPES", "Load", "Recipe", "fitted", "recipe", "solver", "text"]
