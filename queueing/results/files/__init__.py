"""Tables as files, a format in each module. `writing` chooses; whole files take the place of old ones at once."""
