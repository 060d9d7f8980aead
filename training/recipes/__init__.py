"""Recipes: one module a system, each readable in one sitting."""
