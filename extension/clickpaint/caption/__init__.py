"""Say in words what is selected: crop, caption, style, refine, answer, and find again by words."""
