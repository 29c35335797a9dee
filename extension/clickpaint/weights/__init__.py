"""Model files: which there are, where they lie, how they come here, and how long they stay in memory."""
