"""One file a figure: numbers in, a panel out."""
