"""From a space, or a table, to the points of a sweep."""
