"""Networks over several devices: their costs, the choice of cuts, and running what was chosen."""
