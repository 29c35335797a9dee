"""What differs between the versions of the libraries that hosts bring along, one thin module each."""
