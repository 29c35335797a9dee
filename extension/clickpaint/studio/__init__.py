"""The use-cases: everything that can be done, on one host, by whichever face asks for it."""
