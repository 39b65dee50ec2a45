"""What is done about findings: `[[diagnosis]]` of an experiment file, and the round that carries it out."""
