"""From a mask to a picture in which what was selected is gone."""
