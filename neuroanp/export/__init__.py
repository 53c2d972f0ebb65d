"""Write trained networks in the formats of chips and of other tools, and say what was lost."""
