"""The REST API: decode, call the studio, encode."""
