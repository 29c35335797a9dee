"""The ways in which a picture enters the sampling."""
