"""Where to cut a network: span costs to cuts, with a proven bound. Pure: numbers in, numbers out."""
