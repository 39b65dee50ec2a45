"""What may vary and how: parameters, their distributions, conditions and constraints. Pure."""
