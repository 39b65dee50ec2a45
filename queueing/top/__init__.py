"""`labq top`: reading the lab, and what the picture of a moment is made of."""
