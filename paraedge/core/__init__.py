"""The nouns: frozen dataclasses over the standard library, no input or output."""
