"""One user's session with one picture: what it shows, what is selected, and the way back."""
