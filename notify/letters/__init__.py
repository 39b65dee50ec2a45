"""What a message says, block by block: pure functions of a notice and its story."""
