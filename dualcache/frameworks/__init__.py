"""Web frameworks, known by their names and abilities: none is imported."""
