"""From a picture to what a ControlNet is guided by: edges, lines, depth, poses, colours."""
