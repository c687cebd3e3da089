"""Tables to numbers: statistics, roofline, regression weights, speed-up, heat map, comparison, findings."""
