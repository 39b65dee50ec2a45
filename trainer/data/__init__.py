"""From files to packed arrays. Whatever is wrong with a file is said with its row and column."""
