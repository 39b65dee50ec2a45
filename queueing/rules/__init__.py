"""Rules about who is told what, as people write them."""
