"""Bundled data: data-set definitions, class vocabularies, and the drawn edition's votes."""
