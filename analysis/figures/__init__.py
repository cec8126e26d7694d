"""One script a figure, one style (style.py)."""
