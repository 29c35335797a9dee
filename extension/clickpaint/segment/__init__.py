"""From a click to a mask."""
