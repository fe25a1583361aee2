"""The parts of make_fixtures.py, which says what this is for."""
